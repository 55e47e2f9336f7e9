/** Files of the page: parts of the single-file page, or from the server. */

import { fromBase64 } from "./link.js";

/** A bundle's graphs: generator and encoder. */
export const GRAPHS = ["generator.onnx", "q_encoder.onnx"];

/** @param {string} path */
const held = (path) => document.getElementById(`file:${path}`);

/** Whether the page is one file that holds all others. */
export const isSingleFile = () => held("model.json") !== null;

/** @param {string} path relative to the page */
export const addressOf = (path) => new URL(path, document.baseURI).href;

/** @param {string} path relative to the page @returns {Promise<Uint8Array<ArrayBuffer>>} */
export async function readFile(path) {
  const part = held(path);
  if (part) return expand(fromBase64(part.textContent ?? "") ?? new Uint8Array(), "gzip");
  const response = await fetch(addressOf(path));
  if (!response.ok) throw new Error(`${path}: the server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** @param {string} path */
export async function readJson(path) {
  return JSON.parse(new TextDecoder().decode(await readFile(path)));
}

/** @param {Uint8Array} bytes @param {CompressionFormat} format */
export async function expand(bytes, format) {
  const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new DecompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
