/** A foreground object scaled to a box and centred, as the runtime's centred_foreground.py does it. */

import { extentOf, quantile, rint } from "./planes.js";
import { BICUBIC, HAMMING, resizeTo } from "./resample.js";

/** @typedef {import("./types.js").Preprocessing} Preprocessing */
/** @typedef {import("./planes.js").FloatPlane} FloatPlane */

const { fround } = Math;
const SEEN = 32;
const BRIGHT = 200;
const SLACK = 1;
/** Strokes are measured and thickened in a box so many times as large. */
const FINE = 4;

/** Whether a grey image is already what the preprocessing makes.
 * @param {Uint8Array} values @param {number} size @param {Preprocessing} preprocessing */
export function matchesPreprocessing(values, size, preprocessing) {
  const light = Float32Array.from(values, (value) => (preprocessing.ink === "dark" ? 255 - value : value));
  const box = extentOf(light.map((value) => Number(value >= SEEN)), size);
  if (box.bottom < 0 || light.every((value) => value < BRIGHT)) return false;
  const longer = Math.max(box.bottom - box.top, box.right - box.left) + 1;
  const [down, right] =
    preprocessing.centre === "box" ? middleOf(box) : centreOfMass({ width: size, height: size, data: light });
  return (
    preprocessing.box - 2 * SLACK <= longer &&
    longer <= preprocessing.box + SLACK &&
    Math.abs(down - size / 2) <= SLACK &&
    Math.abs(right - size / 2) <= SLACK
  );
}

/** Put a foreground, cut out and from 0 to 1, into an image of size x size bytes.
 * @param {FloatPlane} foreground @param {number} size @param {Preprocessing} preprocessing */
export function centreForeground(foreground, size, preprocessing) {
  const scaled = toBox(foreground, preprocessing);
  const isBox = preprocessing.centre === "box";
  const [down, right] = isBox ? middleOf(extentOf(scaled.data, scaled.width)) : centreOfMass(scaled);
  const [top, left] = [rint(size / 2 - down), rint(size / 2 - right)];
  const values = new Uint8Array(size * size);
  for (let y = Math.max(0, -top); y < Math.min(scaled.height, size - top); y++) {
    for (let x = Math.max(0, -left); x < Math.min(scaled.width, size - left); x++) {
      values[(top + y) * size + left + x] = rint(fround(scaled.data[y * scaled.width + x] * 255));
    }
  }
  return preprocessing.ink === "dark" ? values.map((value) => 255 - value) : values;
}

/** @param {FloatPlane} foreground @param {Preprocessing} preprocessing */
function toBox(foreground, { box, stroke }) {
  let given = foreground;
  if (stroke) {
    const missing = stroke * FINE - strokeWidth(saturated(scaled(given, box * FINE)));
    if (missing > 1) {
      given = thickened(saturated(scaled(given, Math.max(1, rint(box * FINE - missing)))), missing / 2);
    }
  }
  return saturated(scaled(given, box));
}

/** @param {FloatPlane} plane @param {number} longer @returns {FloatPlane} */
function scaled(plane, longer) {
  const resized = resizeTo(plane, longer, longer < Math.max(plane.width, plane.height) ? HAMMING : BICUBIC);
  return { ...resized, data: Float32Array.from(resized.data, (value) => Math.max(0, Math.min(1, value))) };
}

/** Make the ink full: shrinking leaves the middle of a thin stroke grey.
 * @param {FloatPlane} plane @returns {FloatPlane} */
function saturated(plane) {
  const least = fround(fround(0.1) * plane.data.reduce((most, value) => Math.max(most, value), 0));
  const inked = plane.data.filter((value) => value > least);
  const full = fround(Math.max(inked.length ? quantile(inked, 0.8, fround) : 1, 1e-3));
  return { ...plane, data: plane.data.map((value) => Math.max(0, Math.min(1, fround(value / full)))) };
}

/** The mean width of the strokes: twice the area by the length of the outline.
 * @param {FloatPlane} plane */
function strokeWidth({ width, height, data }) {
  /** @param {number} x @param {number} y */
  const solid = (x, y) => Number(x >= 0 && x < width && y >= 0 && y < height && data[y * width + x] >= 0.5);
  let [steps, area] = [0, 0];
  for (let y = -1; y <= height; y++) {
    for (let x = -1; x <= width; x++) {
      area += solid(x, y);
      steps += Math.abs(solid(x, y) - solid(x + 1, y)) + Math.abs(solid(x, y) - solid(x, y + 1));
    }
  }
  return (2 * area) / Math.max((steps * Math.PI) / 4, 1);
}

/** Grey dilation with a disc whose edge is soft.
 * @param {FloatPlane} plane @param {number} radius @returns {FloatPlane} */
function thickened({ width, height, data }, radius) {
  const reach = Math.ceil(radius);
  const [w, h] = [width + 2 * reach, height + 2 * reach];
  const grown = new Float32Array(w * h);
  for (let down = -reach; down <= reach; down++) {
    for (let right = -reach; right <= reach; right++) {
      const weight = fround(Math.max(0, Math.min(1, radius + 0.5 - Math.hypot(down, right))));
      if (!weight) continue;
      for (let y = 0; y < height; y++) {
        const to = (y + reach - down) * w + reach - right;
        for (let x = 0; x < width; x++) {
          const value = fround(weight * data[y * width + x]);
          if (value > grown[to + x]) grown[to + x] = value;
        }
      }
    }
  }
  return { width: w, height: h, data: grown };
}

/** Row and column of the middle of a box.
 * @param {ReturnType<typeof extentOf>} box */
const middleOf = (box) => [(box.top + box.bottom + 1) / 2, (box.left + box.right + 1) / 2];

/** Row and column of the centre of mass, as the index of a pixel.
 * @param {FloatPlane} plane */
function centreOfMass({ width, data }) {
  let [total, down, right] = [0, 0, 0];
  data.forEach((value, i) => {
    total += value;
    down += value * Math.floor(i / width);
    right += value * (i % width);
  });
  return [down / Math.max(total, 1e-9), right / Math.max(total, 1e-9)];
}
