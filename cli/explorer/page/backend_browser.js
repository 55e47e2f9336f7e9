/** The backend of a page without a server: onnxruntime-web runs the bundle's own graphs in the browser. */

import { decode } from "./drawing.js";
import { GRAPHS, addressOf, isSingleFile, readFile } from "./files.js";
import { imageBytes, imageData, isPreprocessedFor } from "./images.js";
import { preprocess } from "./preprocessing.js";

/** @typedef {import("./types.js").Backend} Backend */
/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").ImageSpec} ImageSpec */
/** @typedef {import("./types.js").InputImage} InputImage */
/** @typedef {import("./preprocessing.js").Pixels} Pixels */

/** The longer side that a file is decoded at, at most: large scans have more pixels than are used. */
const MAX_SIDE = 4096;

/** @type {Promise<any> | null} */
let loaded = null;

/** onnxruntime-web, loaded once. */
function ort() {
  loaded ??= loadOrt();
  return loaded;
}

async function loadOrt() {
  const address = isSingleFile() ? "onnxruntime-web" : addressOf("ort/ort.js");
  const found = await import(address);
  found.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
  found.env.logLevel = "error";
  if (isSingleFile()) found.env.wasm.wasmBinary = await readFile("ort/ort-wasm.wasm");
  else found.env.wasm.wasmPaths = { mjs: addressOf("ort/ort-wasm.js"), wasm: addressOf("ort/ort-wasm.wasm") };
  return found;
}

/** The encoder's input, uint8 (H, W, C).
 * @param {InputImage} given @param {ImageSpec} image */
async function preprocessed(given, image) {
  if (isPreprocessedFor(given, image)) return given.pixels;
  const found = preprocess(given.kind === "file" ? await pixelsOf(given.file) : pixelsGiven(given), image);
  if (found) return found;
  throw new Error("No object on an even background. Photographs need the server: infogan-tool explore.");
}

/** @param {Exclude<InputImage, {kind: "file"}>} given @returns {Pixels} */
function pixelsGiven(given) {
  if (given.kind === "drawing") return { ...given, channels: 1, data: given.pixels };
  const { data, width, height } = imageData(given.pixels, given);
  return { width, height, channels: 4, data: new Uint8Array(data.buffer) };
}

/** @param {Blob} file @returns {Promise<Pixels>} */
async function pixelsOf(file) {
  const bitmap = await decode(file);
  if (!bitmap) throw new Error("This browser does not know the format of this file. Save it as PNG or JPEG.");
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const target = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!target) throw new Error("This browser has no canvas.");
  target.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  return { width, height, channels: 4, data: new Uint8Array(target.getImageData(0, 0, width, height).data.buffer) };
}

/** uint8 (H, W, C) to float32 (C, H, W) in the spec's range.
 * @param {Uint8Array} pixels @param {ImageSpec} image */
function toFloat(pixels, { size, channels, low, high }) {
  const count = size * size;
  const values = new Float32Array(count * channels);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < count; i++) values[c * count + i] = (pixels[i * channels + c] / 255) * (high - low) + low;
  }
  return values;
}

/** float32 (N, C, H, W) in the spec's range to uint8 (N, H, W, C), rounded.
 * @param {Float32Array} values @param {ImageSpec} image */
function toBytes(values, image) {
  const { size, channels, low, high } = image;
  const count = size * size;
  const bytes = new Uint8ClampedArray(values.length); // rounds and clips
  const scale = 255 / (high - low);
  for (let n = 0; n < values.length; n += imageBytes(image)) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < count; i++) bytes[n + i * channels + c] = (values[n + c * count + i] - low) * scale;
    }
  }
  return new Uint8Array(bytes.buffer);
}

/** The two graphs of one bundle. */
class Graphs {
  /** @param {any} ort @param {BundleInfo} info @param {any} generator @param {any} encoder */
  constructor(ort, info, generator, encoder) {
    this.ort = ort;
    this.info = info;
    this.generator = generator;
    this.encoder = encoder;
    /** The last run; onnxruntime-web runs a session once at a time.
     * @type {Promise<unknown>} */
    this.running = Promise.resolve();
  }

  /** @param {any} session @param {Record<string, any>} feeds @returns {Promise<Record<string, any>>} */
  run(session, feeds) {
    const done = this.running.catch(() => undefined).then(() => session.run(feeds));
    this.running = done;
    return done;
  }

  /** @param {Float32Array} rows noise, categories, styles of each image
   * @returns {Promise<Float32Array>} (N, C, H, W) */
  async generate(rows) {
    const { noise, categorical, continuous } = this.info.metadata.latent;
    const width = noise + categorical.length + continuous;
    const count = rows.length / width;
    /** @type {Record<string, any>} */
    const feeds = {};
    let from = 0;
    for (const [name, size] of Object.entries({ noise, categories: categorical.length, styles: continuous })) {
      const values = new Float32Array(count * size);
      for (let n = 0; n < count; n++) values.set(rows.subarray(n * width + from, n * width + from + size), n * size);
      from += size;
      if (!size) continue;
      feeds[name] =
        name === "categories"
          ? new this.ort.Tensor("int64", BigInt64Array.from(values, BigInt), [count, size])
          : new this.ort.Tensor("float32", values, [count, size]);
    }
    return (await this.run(this.generator, feeds)).images.data;
  }

  /** @param {Float32Array} image (C, H, W)
   * @returns {Promise<Record<string, Float32Array>>} the encoder's outputs by name */
  async encode(image) {
    const { size, channels } = this.info.metadata.image;
    const images = new this.ort.Tensor("float32", image, [1, channels, size, size]);
    const found = await this.run(this.encoder, { images });
    return Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, tensor.data]));
  }
}

/** @param {BundleInfo} info @param {Uint8Array} generator @param {Uint8Array} encoder */
async function openSessions(info, generator, encoder) {
  const runtime = await ort();
  const options = { executionProviders: ["wasm"] };
  const sessions = [];
  for (const content of [generator, encoder]) sessions.push(await runtime.InferenceSession.create(content, options));
  return new Graphs(runtime, info, sessions[0], sessions[1]);
}

/** @param {BundleInfo[]} bundles @returns {Promise<Graphs[]>} */
export async function openGraphs(bundles) {
  const found = [];
  for (const [index, info] of bundles.entries()) {
    const [generator, encoder] = await Promise.all(GRAPHS.map((file) => readFile(`bundles/${index}/${file}`)));
    found.push(await openSessions(info, generator, encoder));
  }
  return found;
}

/** The page's own bundles.
 * @param {BundleInfo[]} bundles */
export async function browserBackend(bundles) {
  return backendOf(bundles, await openGraphs(bundles), async (bundle) => {
    return new Float32Array((await readFile(`bundles/${bundle}/noise.bin`)).buffer);
  });
}

/** One bundle that was dropped on the page.
 * @param {BundleInfo} info @param {Float32Array} noise @param {Uint8Array} generator @param {Uint8Array} encoder */
export async function droppedBackend(info, noise, generator, encoder) {
  return backendOf([info], [await openSessions(info, generator, encoder)], async () => noise);
}

/** @param {BundleInfo[]} bundles @param {Graphs[]} graphs @param {Backend["noise"]} noise @returns {Backend} */
function backendOf(bundles, graphs, noise) {
  return {
    async encode(bundle, given) {
      const { latent, image, ood } = bundles[bundle].metadata;
      const pixels = await preprocessed(given, image);
      const found = await graphs[bundle].encode(toFloat(pixels, image));
      let start = 0;
      const probabilities = latent.categorical.map((size) => {
        start += size;
        return [...found.probabilities.slice(start - size, start)];
      });
      return {
        probabilities,
        mean: [...(found.style_mean ?? [])],
        std: [...(found.style_std ?? [])],
        ood: ood ? !(found.distance[0] <= ood.threshold) : null,
        preprocessed: pixels,
      };
    },
    async generate(bundle, rows) {
      return toBytes(await graphs[bundle].generate(rows), bundles[bundle].metadata.image);
    },
    noise,
  };
}
