/** Ask the Python runtime behind the page. */

/** @typedef {import("./types.js").Backend} Backend */
/** @typedef {import("./types.js").Picture} Picture */
/** @typedef {import("./types.js").BundleInfo} BundleInfo */

const BUSY = [429, 503];
const PAUSE_MS = 250;
const TRIES = 8;

/** @param {string} path @param {BodyInit} body @returns {Promise<Response>} */
async function ask(path, body) {
  for (let tried = 1; ; tried++) {
    let response;
    try {
      response = await fetch(path, {
        method: "POST",
        headers: { "content-type": "application/octet-stream" },
        body,
      });
    } catch {
      throw new Error("infogan-tool does not answer any more: was it ended?");
    }
    if (response.ok) return response;
    if (!BUSY.includes(response.status) || tried === TRIES) {
      const told = await response.json().catch(() => ({}));
      throw new Error(told.error ?? `the server answered ${response.status}`);
    }
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

/** A picture as a file that the runtime reads; what is drawn goes as PGM or PPM, which needs no packing.
 * @param {Picture} picture @param {BundleInfo} info @returns {Blob} */
function asFile(picture, info) {
  if (picture.kind === "file") return picture.file;
  const { size, channels } = info.metadata.image;
  const [width, height] = picture.kind === "grey" ? [picture.width, picture.height] : [size, size];
  const kind = picture.kind === "grey" || channels === 1 ? "P5" : "P6";
  return new Blob([`${kind}\n${width} ${height}\n255\n`, /** @type {BlobPart} */ (picture.pixels)]);
}

/** @param {string} text */
const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** @param {BundleInfo[]} bundles @returns {Backend} */
export function serverBackend(bundles) {
  return {
    async read(bundle, picture) {
      const raw = picture.kind === "seen" ? "?raw=1" : "";
      const response = await ask(`bundles/${bundle}/read${raw}`, asFile(picture, bundles[bundle]));
      const told = await response.json();
      return { ...told, seen: fromBase64(told.seen) };
    },
    async draw(bundle, rows) {
      const response = await ask(`bundles/${bundle}/draw`, /** @type {BodyInit} */ (rows));
      return new Uint8Array(await response.arrayBuffer());
    },
    async noise(bundle) {
      const response = await fetch(`bundles/${bundle}/noise.bin`);
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      return new Float32Array(await response.arrayBuffer());
    },
  };
}
