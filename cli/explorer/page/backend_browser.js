/** Run the graphs here, by onnxruntime-web, on the very files of the bundle. */

import { decode } from "./drawing.js";
import { pictureBytes } from "./pictures.js";
import { prepare } from "./prepare.js";

/** @typedef {import("./types.js").Backend} Backend */
/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").ImageSpec} ImageSpec */
/** @typedef {import("./types.js").Picture} Picture */
/** @typedef {import("./types.js").Reading} Reading */

/** The longer side that a dropped picture is decoded at, at most: a phone's photograph has far more than is used. */
const MAX_SIDE = 4096;

/** @param {string} path */
const here = (path) => new URL(path, import.meta.url).href;

async function loadOrt() {
  const address = here("ort/ort.js");
  const ort = await import(address);
  ort.env.wasm.numThreads = 1; // more need headers that a plain file server does not send
  ort.env.wasm.wasmPaths = { mjs: here("ort/ort-wasm.js"), wasm: here("ort/ort-wasm.wasm") };
  ort.env.logLevel = "error";
  return ort;
}

/** @param {string} path */
async function fetchBytes(path) {
  const response = await fetch(here(path));
  if (!response.ok) throw new Error(`${path}: the file server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Do things one after the other; onnxruntime-web runs a session once at a time.
 * @template T @param {Promise<unknown>[]} line @param {() => Promise<T>} work @returns {Promise<T>} */
function inLine(line, work) {
  const done = (line.pop() ?? Promise.resolve()).catch(() => undefined).then(work);
  line.push(done);
  return done;
}

/** What a picture is to the encoder: uint8 (H, W, C).
 * @param {Picture} picture @param {ImageSpec} image */
export async function seenBytes(picture, image) {
  if (picture.kind === "seen") return picture.pixels;
  if (picture.kind === "grey") {
    return prepare({ width: picture.width, height: picture.height, channels: 1, data: picture.pixels }, image);
  }
  const bitmap = await decode(picture.file);
  if (!bitmap) throw new Error("This browser does not know the format of this file; save it as PNG or JPEG.");
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const target = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!target) throw new Error("this browser has no canvas");
  target.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const data = new Uint8Array(target.getImageData(0, 0, width, height).data.buffer);
  return prepare({ width, height, channels: 4, data }, image);
}

/** uint8 (H, W, C) to float32 (C, H, W) in the spec's range.
 * @param {Uint8Array} seen @param {ImageSpec} image */
export function toFloat(seen, { size, channels, low, high }) {
  const count = size * size;
  const values = new Float32Array(count * channels);
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < count; i++) values[c * count + i] = (seen[i * channels + c] / 255) * (high - low) + low;
  }
  return values;
}

/** float32 (N, C, H, W) in the spec's range to uint8 (N, H, W, C), rounded.
 * @param {Float32Array} values @param {ImageSpec} image */
export function toBytes(values, image) {
  const { size, channels, low, high } = image;
  const count = size * size;
  const bytes = new Uint8ClampedArray(values.length); // rounds and clips
  const scale = 255 / (high - low);
  const whole = pictureBytes(image);
  for (let n = 0; n < values.length; n += whole) {
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < count; i++) bytes[n + i * channels + c] = (values[n + c * count + i] - low) * scale;
    }
  }
  return new Uint8Array(bytes.buffer);
}

/** The graphs of one bundle, on float32, for the page and for whoever checks it. */
export class Graphs {
  /** @param {any} ort @param {BundleInfo} info @param {any} generator @param {any} encoder */
  constructor(ort, info, generator, encoder) {
    this.ort = ort;
    this.info = info;
    this.generator = generator;
    this.encoder = encoder;
    /** @type {Promise<unknown>[]} */
    this.line = [];
  }

  /** @param {Float32Array} rows noise, categories, styles of each picture
   * @returns {Promise<Float32Array>} (N, C, H, W) */
  async generate(rows) {
    const { noise, categorical, continuous } = this.info.metadata.latent;
    const width = noise + categorical.length + continuous;
    const count = rows.length / width;
    /** @param {number} from @param {number} size */
    const part = (from, size) => {
      const values = new Float32Array(count * size);
      for (let n = 0; n < count; n++) {
        values.set(rows.subarray(n * width + from, n * width + from + size), n * size);
      }
      return values;
    };
    /** @type {Record<string, any>} */
    const feeds = {};
    if (noise) feeds.noise = this.tensor("float32", part(0, noise), [count, noise]);
    if (categorical.length) {
      const chosen = BigInt64Array.from(part(noise, categorical.length), (value) => BigInt(value));
      feeds.categories = this.tensor("int64", chosen, [count, categorical.length]);
    }
    if (continuous) {
      feeds.styles = this.tensor("float32", part(noise + categorical.length, continuous), [count, continuous]);
    }
    const found = await inLine(this.line, () => this.generator.run(feeds));
    return found.images.data;
  }

  /** @param {Float32Array} image (C, H, W)
   * @returns {Promise<Record<string, Float32Array>>} the encoder's outputs by name */
  async encode(image) {
    const { size, channels } = this.info.metadata.image;
    const images = this.tensor("float32", image, [1, channels, size, size]);
    const found = await inLine(this.line, () => this.encoder.run({ images }));
    return Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, tensor.data]));
  }

  /** @param {string} type @param {ArrayLike<unknown>} data @param {number[]} shape */
  tensor(type, data, shape) {
    return new this.ort.Tensor(type, data, shape);
  }
}

/** @param {BundleInfo[]} bundles @returns {Promise<Graphs[]>} */
export async function openGraphs(bundles) {
  const ort = await loadOrt();
  const found = [];
  for (const [index, info] of bundles.entries()) {
    const [generator, encoder] = await Promise.all(
      ["generator.onnx", "q_encoder.onnx"].map((file) => fetchBytes(`bundles/${index}/${file}`)),
    );
    const options = { executionProviders: ["wasm"] };
    const sessions = [];
    for (const graph of [generator, encoder]) sessions.push(await ort.InferenceSession.create(graph, options));
    found.push(new Graphs(ort, info, sessions[0], sessions[1]));
  }
  return found;
}

/** @param {BundleInfo[]} bundles @returns {Promise<Backend>} */
export async function browserBackend(bundles) {
  const graphs = await openGraphs(bundles);
  return {
    async read(bundle, picture) {
      const { metadata } = bundles[bundle];
      const seen = await seenBytes(picture, metadata.image);
      const found = await graphs[bundle].encode(toFloat(seen, metadata.image));
      let start = 0;
      const probabilities = metadata.latent.categorical.map((size) => {
        start += size;
        return [...found.probabilities.slice(start - size, start)];
      });
      const { ood } = metadata;
      return {
        probabilities,
        mean: [...(found.style_mean ?? [])],
        std: [...(found.style_std ?? [])],
        ood: ood ? !(found.distance[0] <= ood.threshold) : null,
        seen,
      };
    },
    async draw(bundle, rows) {
      return toBytes(await graphs[bundle].generate(rows), bundles[bundle].metadata.image);
    },
    async noise(bundle) {
      return new Float32Array((await fetchBytes(`bundles/${bundle}/noise.bin`)).buffer);
    },
  };
}
