/** The page's state in the part of its address after #, which no server receives. */

/** @typedef {import("./types.js").Codes} Codes */
/** @typedef {import("./types.js").BundleInfo} BundleInfo */

/** @param {Codes} codes */
export function codesToText(codes) {
  // Nine digits tell every float32 from its neighbours.
  const styles = codes.styles.map((value) => String(Number(value.toPrecision(9))));
  return [codes.categories.join("."), styles.join(","), codes.noise].join("~");
}

/** Read what codesToText wrote; null where the text is not codes of this bundle.
 * @param {string | null} text @param {BundleInfo} info @returns {Codes | null} */
export function codesFromText(text, info) {
  if (!text) return null;
  const { categorical, continuous } = info.metadata.latent;
  const [first, second, third] = text.split("~");
  const categories = first ? first.split(".").map(Number) : [];
  const styles = second ? second.split(",").map(Number) : [];
  const noise = Number(third);
  const valid =
    categories.length === categorical.length &&
    categories.every((value, i) => isIndex(value, categorical[i])) &&
    styles.length === continuous &&
    styles.every((value) => Math.abs(value) <= 100) &&
    isIndex(noise, info.noise_count);
  return valid ? { categories, styles, noise } : null;
}

/** @param {number} value @param {number} count */
const isIndex = (value, count) => Number.isInteger(value) && value >= 0 && value < count;

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text @returns {Uint8Array<ArrayBuffer> | null} */
export function fromBase64(text) {
  try {
    const letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    return bytes;
  } catch {
    return null;
  }
}

/** @param {Uint8Array} bytes @param {CompressionFormat} format */
export async function compress(bytes, format) {
  const stream = new Blob([/** @type {BlobPart} */ (bytes)]).stream().pipeThrough(new CompressionStream(format));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
