/** Animated GIFs of grey or coloured frames: header, one palette, LZW. */

const CLEAR = 256;
const END = 257;

/** A 16-bit number, little-endian.
 * @param {number} value */
const word = (value) => [value & 255, (value >> 8) & 255];

/** @param {string} text */
const ascii = (text) => [...text].map((letter) => letter.charCodeAt(0));

/** 256 levels of grey, or colours of 3 bits of red, 3 of green and 2 of blue.
 * @param {number} channels */
function palette(channels) {
  const colours = Array.from({ length: 256 }, (_, i) =>
    channels === 1 ? [i, i, i] : [((i >> 5) * 255) / 7, (((i >> 2) & 7) * 255) / 7, (i & 3) * 85],
  );
  return colours.flat().map(Math.floor);
}

/** Index of a pixel in the palette.
 * @param {Uint8Array} pixels @param {number} at @param {number} channels */
function paletteIndex(pixels, at, channels) {
  if (channels === 1) return pixels[at];
  return (pixels[at] & 0xe0) | ((pixels[at + 1] & 0xe0) >> 3) | (pixels[at + 2] >> 6);
}

/** The LZW of GIF for 8-bit indices, in sub-blocks of at most 255 bytes.
 * @param {Uint8Array} indices @returns {number[]} */
function lzw(indices) {
  /** @type {number[]} */
  const bytes = [];
  /** @type {Map<number, number>} */
  const table = new Map();
  let [bits, pending, width, next, prefix] = [0, 0, 9, END + 1, indices[0]];
  /** @param {number} code */
  const put = (code) => {
    bits |= code << pending;
    for (pending += width; pending >= 8; pending -= 8, bits >>>= 8) bytes.push(bits & 255);
  };
  put(CLEAR);
  for (const index of indices.subarray(1)) {
    const key = (prefix << 8) | index;
    const code = table.get(key);
    if (code !== undefined) {
      prefix = code;
      continue;
    }
    put(prefix);
    prefix = index;
    if (next === 4096) {
      put(CLEAR);
      table.clear();
      [next, width] = [END + 1, 9];
    } else {
      // A decoder adds each code one step later than the encoder, so the width grows after its first use.
      if (next >= 1 << width) width++;
      table.set(key, next++);
    }
  }
  put(prefix);
  if (next >= 1 << width && width < 12) width++;
  put(END);
  if (pending) bytes.push(bits & 255);
  const blocks = [8];
  for (let i = 0; i < bytes.length; i += 255) blocks.push(Math.min(255, bytes.length - i), ...bytes.slice(i, i + 255));
  return [...blocks, 0];
}

/** Make an endless GIF.
 * @param {Uint8Array[]} frames uint8 (H, W, C) each @param {{size: number, channels: number}} image
 * @param {{scale: number, delayMs: number}} options factor of enlargement; time of a frame
 * @returns {Blob} */
export function makeGif(frames, { size, channels }, { scale, delayMs }) {
  const side = size * scale;
  const square = [...word(side), ...word(side)];
  const parts = [ascii("GIF89a"), square, [0xf7, 0, 0], palette(channels)];
  parts.push([0x21, 0xff, 11], ascii("NETSCAPE2.0"), [3, 1, 0, 0, 0]);
  for (const frame of frames) {
    const indices = Uint8Array.from({ length: side * side }, (_, i) => {
      const [x, y] = [i % side, Math.floor(i / side)].map((place) => Math.floor(place / scale));
      return paletteIndex(frame, (y * size + x) * channels, channels);
    });
    parts.push([0x21, 0xf9, 4, 4, ...word(Math.round(delayMs / 10)), 0, 0]);
    parts.push([0x2c, 0, 0, 0, 0, ...square, 0], lzw(indices));
  }
  parts.push([0x3b]);
  return new Blob(parts.map((part) => Uint8Array.from(part)), { type: "image/gif" });
}
