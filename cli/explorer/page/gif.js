/** Animated GIFs of grey or coloured frames: header, one palette, LZW. */

/** Little-endian 16-bit numbers and bytes in the order of the file. */
class Bytes {
  constructor() {
    /** @type {number[]} */
    this.list = [];
  }
  /** @param {...number} values */
  bytes(...values) {
    for (const value of values) this.list.push(value & 255);
  }
  /** @param {...number} values */
  words(...values) {
    for (const value of values) this.list.push(value & 255, (value >> 8) & 255);
  }
  /** @param {string} text */
  text(text) {
    for (const letter of text) this.list.push(letter.charCodeAt(0));
  }
}

/** Palette index of a pixel: its grey, or 3 bits of red, 3 of green and 2 of blue.
 * @param {Uint8Array} pixels @param {number} at @param {number} channels */
function colourIndex(pixels, at, channels) {
  if (channels === 1) return pixels[at];
  return (pixels[at] & 0xe0) | ((pixels[at + 1] & 0xe0) >> 3) | (pixels[at + 2] >> 6);
}

/** @param {Bytes} out @param {number} channels */
function writePalette(out, channels) {
  for (let i = 0; i < 256; i++) {
    if (channels === 1) out.bytes(i, i, i);
    else out.bytes(((i >> 5) * 255) / 7, (((i >> 2) & 7) * 255) / 7, (i & 3) * 85);
  }
}

/** The LZW of GIF for 8-bit indices, in sub-blocks of at most 255 bytes.
 * @param {Bytes} out @param {Uint8Array} indices */
function writeLzw(out, indices) {
  const CLEAR = 256;
  const END = 257;
  /** @type {number[]} */
  let block = [];
  let bits = 0;
  let pending = 0;
  let width = 9;
  /** @type {Map<number, number>} */
  let table = new Map();
  const flush = () => {
    if (block.length) out.bytes(block.length, ...block);
    block = [];
  };
  /** @param {number} code */
  const put = (code) => {
    bits |= code << pending;
    for (pending += width; pending >= 8; pending -= 8, bits >>>= 8) {
      block.push(bits & 255);
      if (block.length === 255) flush();
    }
  };
  out.bytes(8);
  put(CLEAR);
  let next = END + 1;
  let prefix = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const key = (prefix << 8) | indices[i];
    const code = table.get(key);
    if (code !== undefined) {
      prefix = code;
      continue;
    }
    put(prefix);
    if (next === 4096) {
      put(CLEAR);
      table = new Map();
      next = END + 1;
      width = 9;
    } else {
      // A decoder adds each code one step later than the encoder, so the width grows after its first use.
      if (next >= 1 << width) width++;
      table.set(key, next++);
    }
    prefix = indices[i];
  }
  put(prefix);
  if (next >= 1 << width && width < 12) width++;
  put(END);
  if (pending) block.push(bits & 255);
  flush();
  out.bytes(0);
}

/** Make an endless GIF.
 * @param {Uint8Array[]} frames uint8 (H, W, C) each @param {{size: number, channels: number}} image
 * @param {{scale: number, delayMs: number}} options each pixel enlarged; time of a frame
 * @returns {Blob} */
export function makeGif(frames, image, { scale, delayMs }) {
  const side = image.size * scale;
  const out = new Bytes();
  out.text("GIF89a");
  out.words(side, side);
  out.bytes(0xf7, 0, 0);
  writePalette(out, image.channels);
  out.bytes(0x21, 0xff, 11);
  out.text("NETSCAPE2.0");
  out.bytes(3, 1, 0, 0, 0);
  const indices = new Uint8Array(side * side);
  for (const frame of frames) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const at = (Math.floor(y / scale) * image.size + Math.floor(x / scale)) * image.channels;
        indices[y * side + x] = colourIndex(frame, at, image.channels);
      }
    }
    out.bytes(0x21, 0xf9, 4, 4);
    out.words(Math.round(delayMs / 10));
    out.bytes(0, 0, 0x2c);
    out.words(0, 0, side, side);
    out.bytes(0);
    writeLzw(out, indices);
  }
  out.bytes(0x3b);
  return new Blob([new Uint8Array(out.list)], { type: "image/gif" });
}
