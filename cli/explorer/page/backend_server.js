/** The backend of the page that `infogan-tool explore` serves: the runtime preprocesses, encodes and generates. */

import { isPreprocessedFor } from "./images.js";
import { fromBase64 } from "./link.js";

/** @typedef {import("./types.js").Backend} Backend */
/** @typedef {import("./types.js").InputImage} InputImage */
/** @typedef {import("./types.js").BundleInfo} BundleInfo */

const BUSY = [429, 503];
const PAUSE_MS = 250;
const TRIES = 8;

/** Send a request; where the server is busy, try again a little later.
 * @param {string} path @param {BodyInit} body @returns {Promise<Response>} */
async function post(path, body) {
  for (let tried = 1; ; tried++) {
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        headers: { "content-type": "application/octet-stream" },
        body,
      });
    } catch {
      throw new Error("The server does not answer. Is `infogan-tool explore` still running?");
    }
    if (response.ok) return response;
    if (!BUSY.includes(response.status) || tried === TRIES) {
      const { error } = await response.json().catch(() => ({}));
      throw new Error(error ?? `The server answered ${response.status}.`);
    }
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

/** An image as a file that the runtime reads; pixels become PGM or PPM, which needs no compression.
 * @param {InputImage} image @returns {Blob} */
function asFile(image) {
  if (image.kind === "file") return image.file;
  const { width, height, channels } =
    image.kind === "drawing" ? { ...image, channels: 1 } : { width: image.size, height: image.size, ...image };
  return new Blob([`${channels === 1 ? "P5" : "P6"}\n${width} ${height}\n255\n`, /** @type {BlobPart} */ (image.pixels)]);
}

/** @param {BundleInfo[]} bundles @returns {Backend} */
export function serverBackend(bundles) {
  return {
    async encode(bundle, image) {
      const raw = isPreprocessedFor(image, bundles[bundle].metadata.image) ? "?raw=1" : "";
      const response = await post(`bundles/${bundle}/encode${raw}`, asFile(image));
      const posterior = await response.json();
      return { ...posterior, preprocessed: fromBase64(posterior.preprocessed) };
    },
    async generate(bundle, rows) {
      const response = await post(`bundles/${bundle}/generate`, /** @type {BodyInit} */ (rows));
      return new Uint8Array(await response.arrayBuffer());
    },
    async saveNames(bundle, names) {
      await post(`bundles/${bundle}/names`, JSON.stringify(names));
    },
    async noise(bundle) {
      const response = await fetch(`bundles/${bundle}/noise.bin`);
      if (!response.ok) throw new Error(`The server answered ${response.status}.`);
      return new Float32Array(await response.arrayBuffer());
    },
  };
}
