// A bundle of infogan-tool in JavaScript: metadata.json describes the tensors of the two graphs.
// See docs/reference/bundle.md for the format.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import * as ort from "onnxruntime-node";

const KNOWN_SCHEMA = 2;

/** Read a bundle, check that its files belong together, and open both graphs. */
export async function openBundle(folder) {
  const metadata = JSON.parse(await readFile(join(folder, "metadata.json"), "utf8"));
  if (metadata.schema_version !== KNOWN_SCHEMA) {
    throw new Error(`bundle schema ${metadata.schema_version} is not supported; this example reads ${KNOWN_SCHEMA}`);
  }
  const open = async (file) => {
    const content = await readFile(join(folder, file));
    if (createHash("sha256").update(content).digest("hex") !== metadata.graphs[file].sha256) {
      throw new Error(`${file} is not the file that metadata.json describes`);
    }
    return ort.InferenceSession.create(content);
  };
  return new Bundle(metadata, await open("q_encoder.onnx"), await open("generator.onnx"));
}

class Bundle {
  constructor(metadata, encoder, generator) {
    Object.assign(this, { metadata, encoder, generator });
  }

  /**
   * Infer the codes of images.
   * @param {Uint8Array} pixels height x width x channels of one image after the other, 0 is black
   * @returns one object for each image: its categories and styles
   */
  async encode(pixels) {
    const { size, channels, low, high } = this.metadata.image;
    const area = size * size;
    const count = pixels.length / (area * channels);
    if (!Number.isInteger(count)) {
      throw new Error(`images must be ${size} x ${size} x ${channels}`);
    }
    const values = new Float32Array(pixels.length);
    for (let i = 0; i < pixels.length; i++) {
      const channel = i % channels;
      const pixel = Math.floor(i / channels) % area;
      const image = Math.floor(i / (channels * area));
      values[(image * channels + channel) * area + pixel] = low + ((high - low) * pixels[i]) / 255;
    }
    const images = new ort.Tensor("float32", values, [count, channels, size, size]);
    const found = await this.encoder.run({ images });
    return Array.from({ length: count }, (_, row) => this.#codes(found, row));
  }

  /**
   * Generate images.
   * @param noise, categories, styles a row for each image, as in docs/reference/bundle.md; those that the bundle has
   * @returns {Float32Array} channels x height x width of one image after the other, from image.low to image.high
   */
  async generate({ noise, categories, styles }) {
    categories?.forEach((row) => row.forEach((index, place) => {
      const width = this.metadata.latent.categorical[place];
      if (!(Number.isInteger(index) && index >= 0 && index < width)) { // the graph does not check it
        throw new RangeError(`k${place + 1} has the categories 0 to ${width - 1}, not ${index}`);
      }
    }));
    const feeds = {};
    const put = (name, rows, type, array) => {
      if (this.generator.inputNames.includes(name)) {
        feeds[name] = new ort.Tensor(type, array(rows.flat()), [rows.length, rows[0].length]);
      }
    };
    put("noise", noise, "float32", (values) => Float32Array.from(values));
    put("categories", categories, "int64", (values) => BigInt64Array.from(values, BigInt));
    put("styles", styles, "float32", (values) => Float32Array.from(values));
    return (await this.generator.run(feeds)).images.data;
  }

  #codes(found, row) {
    const { latent, labels, style_names: names } = this.metadata;
    let start = 0;
    const categories = latent.categorical.map((width, place) => {
      const code = `k${place + 1}`;
      const offset = row * found.probabilities.dims[1] + start;
      const probabilities = Array.from(found.probabilities.data.subarray(offset, offset + width));
      const index = probabilities.indexOf(Math.max(...probabilities));
      start += width;
      return { code, index, label: labels[code]?.[index] ?? null, confidence: probabilities[index], probabilities };
    });
    const styles = Array.from({ length: latent.continuous }, (_, place) => {
      const code = `c${place + 1}`;
      const at = row * latent.continuous + place;
      return { code, name: names[code] ?? null, mean: found.style_mean.data[at], std: found.style_std.data[at] };
    });
    return { categories, styles };
  }
}
