/** Ink and paper told apart, step for step as the runtime's paper.py does it, which says why. */

import { exactly, median, quantile, rint, solve, spread, where } from "./numbers.js";
import { BICUBIC, BOX, gaussianBlur, luminance, nearest, rank, resize } from "./resample.js";

/** @typedef {import("./resample.js").Plane} Plane */
/** @typedef {{width: number, height: number, data: Float32Array}} Grey */
/** @typedef {{strength: Grey, mask: Uint8Array, strong: Uint8Array}} Ink */

const { fround } = Math;
const COARSE = 96;
const SMOOTHED_FROM = 256;
const ROUNDS = 6;
const INLIER_SIGMAS = 2.5;
const LEAST_SIGMA = 1.5;
const LEAST_CONTRAST = 8;
const WIDEST_STROKE = 0.2;
const DARKEST_SHADOW = fround(0.6);
const WEAK = 0.37;
const STRONG = 0.55;
const NOISE_SIGMAS = 4;
const BETWEEN_QUANTILES = 1.26;
const TERMS = 6;

/** What is darker than the paper and what is lighter, the likelier first; what is only paper is nothing.
 * @param {Plane[]} channels one of grey, or red, green and blue @returns {Generator<Ink>} */
export function* findInks(channels) {
  let grey = floats(mostTelling(channels));
  const longer = Math.max(grey.width, grey.height);
  if (longer >= SMOOTHED_FROM) grey = floats(gaussianBlur(bytes(grey), 0.8));
  const { paper, bare } = litPaper(grey);
  const difference = grey.data.map((value, i) => value - paper[i]);
  const sigma = spread(where(difference, bare));
  const darkerFirst = darker({ ...grey, data: difference }, sigma);
  for (const dark of [darkerFirst, !darkerFirst]) {
    const [found, noise] =
      dark && longer >= COARSE
        ? aboveNoise(shadowed(grey, paper).map((value, i) => value - grey.data[i]))
        : [dark ? difference.map((value) => -value) : difference, sigma];
    const ink = strongEnough({ ...grey, data: found }, noise);
    if (ink) yield ink;
  }
}

/** The ink where a difference from the paper is ink; null where none is.
 * @param {Grey} difference @param {number} sigma deviation of bare paper @returns {Ink | null} */
function strongEnough(difference, sigma) {
  const floor = Math.max(NOISE_SIGMAS * sigma, LEAST_CONTRAST);
  const beyond = difference.data.filter((value) => value > fround(floor));
  if (!beyond.length) return null;
  let [cubes, squares] = [0, 0];
  for (const value of beyond) {
    cubes += value ** 3;
    squares += value ** 2;
  }
  const usual = Math.max(quantile(beyond, 0.75, exactly), cubes / squares);
  const weak = fround(Math.max(WEAK * usual, 0.75 * floor));
  const strong = fround(Math.max(STRONG * usual, floor));
  return {
    strength: { ...difference, data: difference.data.map((value) => value / fround(usual)) },
    mask: Uint8Array.from(difference.data, (value) => Number(value > weak)),
    strong: Uint8Array.from(difference.data, (value) => Number(value > strong)),
  };
}

/** A difference in which bare paper is about 0, and the deviation of its noise.
 * @param {Float32Array} difference @returns {[Float32Array, number]} */
function aboveNoise(difference) {
  const [lowest, low] = [0.05, 0.35].map((q) => quantile(difference, q, exactly));
  return [difference.map((value) => value - fround(low)), (low - lowest) / BETWEEN_QUANTILES];
}

/** @param {Plane} plane @returns {Grey} */
const floats = (plane) => ({ ...plane, data: Float32Array.from(plane.data) });

/** @param {Plane} plane @returns {Plane} */
const bytes = (plane) => ({ ...plane, data: Uint8Array.from(plane.data, (v) => Math.max(0, Math.min(255, rint(v)))) });

// --- grey ----------------------------------------------------------------------------------------------

/** Red, green and blue, or grey, as grey.
 * @param {Plane[]} channels @returns {Plane} */
export function toGrey(channels) {
  if (channels.length === 1) return channels[0];
  const [red, green, blue] = channels;
  return {
    ...red,
    data: Uint8Array.from(red.data, (value, i) => luminance(value, green.data[i], blue.data[i])),
  };
}

/** @param {Plane[]} channels */
function mostTelling(channels) {
  const grey = toGrey(channels);
  if (channels.length === 1) return grey;
  const small = channels.map((channel) => resize(channel, COARSE, COARSE, BOX));
  const spreads = [toGrey(small), ...small].map(betweenClasses);
  const best = spreads.indexOf(Math.max(...spreads));
  return spreads[best] > 1.5 * spreads[0] ? [grey, ...channels][best] : grey;
}

/** The greatest variance between two classes that a threshold can make.
 * @param {Plane} plane */
function betweenClasses({ data }) {
  const counts = new Float64Array(256);
  for (const value of data) counts[value]++;
  const total = counts.reduce((sum, count, value) => sum + count * value, 0);
  let [below, sum, best] = [0, 0, 0];
  for (let value = 0; value < 255; value++) {
    below += counts[value];
    sum += counts[value] * value;
    const above = data.length - below;
    if (!below || !above) continue;
    const gap = sum / below - (total - sum) / above;
    best = Math.max(best, below * above * gap ** 2);
  }
  return best / data.length ** 2;
}

// --- paper ---------------------------------------------------------------------------------------------

/** The brightness that the paper would have everywhere, and where it is seen to be bare.
 * @param {Grey} grey */
function litPaper(grey) {
  const coarse = coarsened(grey);
  const basis = surface(coarse.height, coarse.width);
  const values = /** @type {Float32Array} */ (coarse.data);
  const ring = ringOf(coarse.height, coarse.width);
  const border = where(values, ring);
  const middle = median(border);
  const near = fround(INLIER_SIGMAS * Math.max(spread(border), LEAST_SIGMA));
  let used = ring.map((set, i) => Number(set && Math.abs(fround(values[i] - middle)) <= near));
  /** @type {number[]} */
  let weights = [];
  for (let round = 0; round < ROUNDS; round++) {
    weights = leastSquares(basis, values, used);
    const difference = values.map((value, i) => value - fround(at(basis[i], weights)));
    const limit = fround(INLIER_SIGMAS * Math.max(spread(where(difference, used)), LEAST_SIGMA));
    used = Uint8Array.from(difference, (value) => Number(Math.abs(value) < limit));
  }
  const paper = Float32Array.from(surface(grey.height, grey.width), (terms) => at(terms, weights));
  const { data } = nearest({ ...coarse, data: used }, grey.width, grey.height);
  return { paper, bare: /** @type {Uint8Array} */ (data) };
}

/** Lighter paper with the shadows on it, whose edges no surface follows.
 * @param {Grey} grey @param {Float32Array} paper */
function shadowed(grey, paper) {
  const coarse = bytes(coarsened(grey));
  const reach = Math.trunc(WIDEST_STROKE * Math.max(coarse.width, coarse.height)) | 1;
  const closed = rank(rank(widened(coarse, reach), reach, Math.max), reach, Math.min);
  const smooth = gaussianBlur(cropped(closed, reach), 1);
  const shade = resize(smooth, grey.width, grey.height, BICUBIC).data;
  return paper.map((value, i) => (shade[i] < fround(DARKEST_SHADOW * value) ? value : shade[i]));
}

/** Room around, of the colour of the edge.
 * @param {Plane} plane @param {number} room @returns {Plane} */
function widened({ width, height, data }, room) {
  const [w, h] = [width + 2 * room, height + 2 * room];
  const out = new Uint8Array(w * h);
  for (let y = 0; y < h; y++) {
    const row = Math.max(0, Math.min(height - 1, y - room)) * width;
    for (let x = 0; x < w; x++) out[y * w + x] = data[row + Math.max(0, Math.min(width - 1, x - room))];
  }
  return { width: w, height: h, data: out };
}

/** @param {Plane} plane @param {number} room @returns {Plane} */
function cropped({ width, height, data }, room) {
  const [w, h] = [width - 2 * room, height - 2 * room];
  const out = new Uint8Array(w * h);
  for (let y = 0; y < h; y++) {
    out.set(data.subarray((y + room) * width + room, (y + room) * width + room + w), y * w);
  }
  return { width: w, height: h, data: out };
}

/** @param {Plane} plane */
function coarsened(plane) {
  const scale = Math.min(1, COARSE / Math.max(plane.width, plane.height));
  const [width, height] = [plane.width, plane.height].map((side) => Math.max(1, rint(side * scale)));
  return resize(plane, width, height, BOX);
}

/** @param {number[][]} basis @param {Float32Array} values @param {Uint8Array} used */
function leastSquares(basis, values, used) {
  const gram = Array.from({ length: TERMS }, (_, i) => Array.from({ length: TERMS }, (_, j) => (i === j ? 1e-3 : 0)));
  const right = new Array(TERMS).fill(0);
  used.forEach((set, place) => {
    if (!set) return;
    const terms = basis[place];
    for (let i = 0; i < TERMS; i++) {
      right[i] += terms[i] * values[place];
      for (let j = 0; j < TERMS; j++) gram[i][j] += terms[i] * terms[j];
    }
  });
  return solve(gram, right);
}

/** @param {number[]} terms @param {number[]} weights */
const at = (terms, weights) => terms.reduce((sum, term, i) => sum + term * weights[i], 0);

/** The terms of a quadratic surface at every pixel.
 * @param {number} height @param {number} width */
function surface(height, width) {
  /** @param {number} count */
  const line = (count) => Array.from({ length: count }, (_, i) => fround(count > 1 ? -1 + (2 * i) / (count - 1) : -1));
  const [downs, rights] = [line(height), line(width)];
  const found = [];
  for (const down of downs) {
    for (const right of rights) {
      found.push([1, down, right, fround(down * down), fround(down * right), fround(right * right)]);
    }
  }
  return found;
}

/** @param {number} height @param {number} width */
function ringOf(height, width) {
  const edge = Math.max(1, Math.floor(Math.min(height, width) / 20));
  const ring = new Uint8Array(height * width).fill(1);
  for (let y = edge; y < height - edge; y++) {
    for (let x = edge; x < width - edge; x++) ring[y * width + x] = 0;
  }
  return ring;
}

/** Whether what is not paper is darker than it, all in all.
 * @param {Grey} difference @param {number} sigma */
function darker(difference, sigma) {
  const limit = Math.max(3 * sigma, 2);
  let sum = 0;
  for (const value of coarsened(difference).data) {
    if (Math.abs(value) > limit) sum += value ** 3;
  }
  return sum < 0;
}
