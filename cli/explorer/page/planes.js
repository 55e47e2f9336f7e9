/** Planes of pixels: colour to grey, the level of the border, quantiles; rounded as numpy and Pillow round. */

/** One plane of bytes or floats, row by row.
 * @typedef {{width: number, height: number, data: Uint8Array | Float32Array}} Plane */
/** @typedef {{width: number, height: number, data: Uint8Array}} BytePlane */
/** @typedef {{width: number, height: number, data: Float32Array}} FloatPlane */

/** Python's round: half to even.
 * @param {number} value */
export function rint(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 ? down + 1 : down;
}

/** Pillow's conversion to grey.
 * @param {number} r @param {number} g @param {number} b */
export const luminance = (r, g, b) => (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;

/** @param {Plane[]} planes grey, or red, green and blue @returns {BytePlane} */
export function toGrey([red, green, blue]) {
  const data = Uint8Array.from(red.data, (value, i) => (green ? luminance(value, green.data[i], blue.data[i]) : value));
  return { ...red, data };
}

/** Linear quantile, as np.quantile computes it with the given rounding of every step.
 * @param {ArrayLike<number>} values @param {number} q @param {(value: number) => number} round */
export function quantile(values, q, round) {
  const sorted = Float32Array.from(values).sort();
  const place = round((sorted.length - 1) * round(q));
  const below = Math.floor(place);
  const [a, b] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  const part = round(place - below);
  const gap = round(b - a);
  return part >= 0.5 ? round(b - round(gap * round(1 - part))) : round(a + round(gap * part));
}

/** Levels of the outermost pixels; those of the corners twice.
 * @param {Plane} plane */
export function border({ width, height, data }) {
  const levels = [];
  for (let x = 0; x < width; x++) levels.push(data[x], data[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) levels.push(data[y * width], data[y * width + width - 1]);
  return levels;
}

/** Median level of the border, a whole number.
 * @param {Plane} plane */
export const borderLevel = (plane) => rint(quantile(border(plane), 0.5, Number));

/** A pixel and the up to eight beside it.
 * @param {number} i @param {number} width @param {number} height */
export function around(i, width, height) {
  const [x, y] = [i % width, Math.floor(i / width)];
  const found = [];
  for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
    for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) found.push(ny * width + nx);
  }
  return found;
}

/** First and last row and column that hold anything: the bounding box of a mask.
 * @param {Uint8Array | Float32Array} values @param {number} width */
export function extentOf(values, width) {
  const box = { top: Infinity, bottom: -1, left: Infinity, right: -1 };
  values.forEach((value, i) => {
    if (!value) return;
    const [x, y] = [i % width, Math.floor(i / width)];
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
  });
  return box;
}
