// node encode.mjs BUNDLE IMAGE.png [GENERATED.png]
//
// Prints the codes of an image as JSON; with a third argument generates an image from the same codes.

import { readFile, writeFile } from "node:fs/promises";

import { PNG } from "pngjs";

import { openBundle } from "./bundle.mjs";

/** Return the pixels of a PNG as the bundle takes them; the image must have the bundle's size. */
async function readImage(path, { size, channels }) {
  const png = PNG.sync.read(await readFile(path));
  if (png.width !== size || png.height !== size) {
    throw new Error(`${path} has ${png.width} x ${png.height} pixels; the bundle takes ${size} x ${size}`);
  }
  const pixels = new Uint8Array(size * size * channels);
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = png.data[4 * Math.floor(i / channels) + (i % channels)]; // pngjs gives RGBA; grey is in each of RGB
  }
  return pixels;
}

/** Write one image, channels x height x width, as a PNG. */
async function writeImage(path, values, { size, channels, low, high }) {
  const png = new PNG({ width: size, height: size });
  for (let pixel = 0; pixel < size * size; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = values[Math.min(channel, channels - 1) * size * size + pixel];
      png.data[4 * pixel + channel] = Math.round(((value - low) / (high - low)) * 255);
    }
    png.data[4 * pixel + 3] = 255;
  }
  await writeFile(path, PNG.sync.write(png));
}

async function main([folder, input, output]) {
  if (!input) {
    throw new Error("usage: node encode.mjs BUNDLE IMAGE.png [GENERATED.png]");
  }
  const bundle = await openBundle(folder);
  const { image, latent } = bundle.metadata;
  const [codes] = await bundle.encode(await readImage(input, image));
  console.log(JSON.stringify(codes));
  if (output) {
    const values = await bundle.generate({
      noise: [new Array(latent.noise).fill(0)],
      categories: [codes.categories.map((category) => category.index)],
      styles: [codes.styles.map((style) => style.mean)],
    });
    await writeImage(output, values, image);
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});
