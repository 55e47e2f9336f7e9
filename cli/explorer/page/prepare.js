/** A picture of any size, brought to what an encoder was trained on, step for step as the runtime does it. */

import { cutOut } from "./figure.js";
import { median, quantile, rint } from "./numbers.js";
import { findInks, toGrey } from "./paper.js";
import { BICUBIC, BOX, HAMMING, luminance, resize } from "./resample.js";

/** @typedef {import("./types.js").ImageSpec} ImageSpec */
/** @typedef {import("./types.js").Preprocessing} Preprocessing */
/** @typedef {import("./paper.js").Grey} Grey */
/** @typedef {import("./resample.js").Plane} Plane */
/** Bytes of grey, of red, green and blue, or of these and opacity, pixel by pixel.
 * @typedef {{width: number, height: number, channels: number, data: Uint8Array}} Pixels */

const { fround } = Math;
const WORK = 768;
const SEEN = 32;
const BRIGHT = 200;
const SLACK = 1;
const FINE = 4;
const THRESHOLD = 0.5;

/** Return what the encoder is to see: uint8 (H, W, C).
 * @param {Pixels} pixels @param {ImageSpec} image */
export function prepare(pixels, image) {
  const planes = split(pixels);
  const recipe = image.preprocessing;
  if (!recipe) return fit(planes, image);
  const channels = opaque(planes);
  if (pixels.width === image.size && pixels.height === image.size) {
    const values = /** @type {Uint8Array} */ (toGrey(channels).data);
    if (isLaidOut(values, image.size, recipe)) return values;
  }
  return layOut(channels, image, recipe) ?? fit(planes, image);
}

/** Planes of a picture; without opacity where all of it is opaque.
 * @param {Pixels} pixels @returns {Plane[]} */
function split({ width, height, channels, data }) {
  const planes = Array.from({ length: channels }, (_, c) => {
    const plane = new Uint8Array(width * height);
    for (let i = 0; i < plane.length; i++) plane[i] = data[i * channels + c];
    return { width, height, data: plane };
  });
  return channels === 4 && planes[3].data.every((value) => value === 255) ? planes.slice(0, 3) : planes;
}

/** Lay what is transparent on white, or on black where the opaque part is light.
 * @param {Plane[]} planes @returns {Plane[]} */
function opaque(planes) {
  if (planes.length !== 4) return planes;
  const [red, green, blue, opacity] = planes.map((plane) => plane.data);
  let [light, whole] = [0, 0];
  opacity.forEach((alpha, i) => {
    light += luminance(red[i], green[i], blue[i]) * alpha;
    whole += alpha;
  });
  const paper = light > 127.5 * whole ? 0 : 255;
  return planes.slice(0, 3).map((plane) => ({
    ...plane,
    data: Uint8Array.from(plane.data, (value, i) => {
      const mixed = value * opacity[i] * 128 + paper * (255 - opacity[i]) * 128 + (0x80 << 7);
      return opacity[i] ? (((mixed >> 8) + mixed) >> 8) >> 7 : paper;
    }),
  }));
}

// --- without a preprocessing -------------------------------------------------------------------------------

/** Pad to a square and resize.
 * @param {Plane[]} planes @param {ImageSpec} image */
function fit(planes, { size, channels }) {
  const scale = size / Math.max(planes[0].width, planes[0].height);
  const [width, height] = [planes[0].width, planes[0].height].map((side) => Math.max(1, rint(side * scale)));
  const small = opaque(resizeAll(planes, width, height));
  const given = channels === 1 ? [toGrey(small)] : small.length === 1 ? [small[0], small[0], small[0]] : small;
  const square = new Uint8Array(size * size * channels);
  const [top, left] = [Math.floor((size - height) / 2), Math.floor((size - width) / 2)];
  given.forEach((plane, c) => {
    const ground = width === height ? 0 : rint(median(Float32Array.from(border(plane))));
    for (let i = 0; i < size * size; i++) square[i * channels + c] = ground;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        square[((top + y) * size + left + x) * channels + c] = plane.data[y * width + x];
      }
    }
  });
  return square;
}

/** What is transparent counts by its opacity.
 * @param {Plane[]} planes @param {number} width @param {number} height */
function resizeAll(planes, width, height) {
  if (planes[0].width === width && planes[0].height === height) return planes;
  if (planes.length !== 4) return planes.map((plane) => resize(plane, width, height, BICUBIC));
  const opacity = planes[3].data;
  const multiplied = planes.map((plane, c) => {
    if (c === 3) return plane;
    const data = Uint8Array.from(plane.data, (value, i) => {
      const product = value * opacity[i] + 128;
      return ((product >> 8) + product) >> 8;
    });
    return { ...plane, data };
  });
  const small = multiplied.map((plane) => resize(plane, width, height, BICUBIC));
  const alpha = small[3].data;
  return small.map((plane, c) => {
    if (c === 3) return plane;
    const data = Uint8Array.from(plane.data, (value, i) =>
      alpha[i] === 0 || alpha[i] === 255 ? value : Math.min(255, Math.trunc((255 * value) / alpha[i])),
    );
    return { ...plane, data };
  });
}

/** @param {Plane} plane */
function border({ width, height, data }) {
  const found = [];
  for (let x = 0; x < width; x++) found.push(data[x], data[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) found.push(data[y * width], data[y * width + width - 1]);
  return found;
}

// --- by a preprocessing ------------------------------------------------------------------------------------

/** @param {Uint8Array} values @param {number} size @param {Preprocessing} recipe */
function isLaidOut(values, size, recipe) {
  const light = recipe.ink === "dark" ? values.map((value) => 255 - value) : values;
  const seen = light.map((value) => Number(value >= SEEN));
  const count = seen.reduce((sum, value) => sum + value, 0);
  if (!count || light.every((value) => value < BRIGHT)) return false;
  const box = extent({ width: size, height: size, data: Float32Array.from(seen) });
  const longer = Math.max(box.bottom - box.top, box.right - box.left) + 1;
  const [down, right] = centre({ width: size, height: size, data: Float32Array.from(light) }, recipe);
  return (
    recipe.box - 2 * SLACK <= longer &&
    longer <= recipe.box + SLACK &&
    Math.abs(down - size / 2) <= SLACK &&
    Math.abs(right - size / 2) <= SLACK
  );
}

/** @param {Plane[]} channels @param {ImageSpec} image @param {Preprocessing} recipe */
function layOut(channels, { size }, recipe) {
  const longer = Math.max(channels[0].width, channels[0].height);
  let work = channels;
  if (longer > WORK) {
    const scale = WORK / longer;
    const [width, height] = [channels[0].width, channels[0].height].map((side) => Math.max(1, rint(side * scale)));
    work = channels.map((channel) => resize(channel, width, height, BOX));
  }
  const figure = firstFigure(work);
  if (!figure) return null;
  const canvas = new Float32Array(size * size);
  place(canvas, size, toBox(figure, recipe), recipe);
  const values = Uint8Array.from(canvas, (value) => rint(fround(value * 255)));
  return recipe.ink === "dark" ? values.map((value) => 255 - value) : values;
}

/** @param {Plane[]} channels */
function firstFigure(channels) {
  for (const ink of findInks(channels)) {
    const figure = cutOut(ink);
    if (figure) return figure;
  }
  return null;
}

/** @param {Grey} figure @param {Preprocessing} recipe */
function toBox(figure, recipe) {
  let given = figure;
  if (recipe.stroke) {
    const fine = saturated(scaled(given, recipe.box * FINE));
    const missing = recipe.stroke * FINE - strokeWidth(fine);
    if (missing > 1) {
      const inner = saturated(scaled(given, Math.max(1, rint(recipe.box * FINE - missing))));
      given = thickened(inner, missing / 2);
    }
  }
  return saturated(scaled(given, recipe.box));
}

/** @param {Grey} figure @param {number} longer @returns {Grey} */
function scaled(figure, longer) {
  const scale = longer / Math.max(figure.height, figure.width);
  const [width, height] = [figure.width, figure.height].map((side) => Math.max(1, rint(side * scale)));
  if (width === figure.width && height === figure.height) return figure;
  const { data } = resize(figure, width, height, scale < 1 ? HAMMING : BICUBIC);
  return { width, height, data: Float32Array.from(data, (value) => Math.max(0, Math.min(1, value))) };
}

/** @param {Grey} figure @returns {Grey} */
function saturated(figure) {
  const least = fround(fround(0.1) * figure.data.reduce((most, value) => Math.max(most, value), 0));
  const inked = figure.data.filter((value) => value > least);
  const full = fround(Math.max(inked.length ? quantile(inked, 0.8) : 1, 1e-3));
  return { ...figure, data: figure.data.map((value) => Math.max(0, Math.min(1, fround(value / full)))) };
}

/** @param {Grey} figure */
function strokeWidth({ width, height, data }) {
  /** @param {number} x @param {number} y */
  const solid = (x, y) => Number(x >= 0 && x < width && y >= 0 && y < height && data[y * width + x] >= THRESHOLD);
  let [steps, area] = [0, 0];
  for (let y = -1; y <= height; y++) {
    for (let x = -1; x <= width; x++) {
      area += solid(x, y);
      steps += Math.abs(solid(x, y) - solid(x + 1, y)) + Math.abs(solid(x, y) - solid(x, y + 1));
    }
  }
  return (2 * area) / Math.max((steps * Math.PI) / 4, 1);
}

/** @param {Grey} figure @param {number} radius @returns {Grey} */
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

/** First and last row and column that hold anything.
 * @param {Grey} figure */
function extent({ width, data }) {
  const box = { top: Infinity, bottom: -1, left: Infinity, right: -1 };
  data.forEach((value, i) => {
    if (!value) return;
    const [x, y] = [i % width, Math.floor(i / width)];
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y);
    box.left = Math.min(box.left, x);
    box.right = Math.max(box.right, x);
  });
  return box;
}

/** Row and column of the centre.
 * @param {Grey} figure @param {Preprocessing} recipe */
function centre(figure, recipe) {
  if (recipe.centre === "box") {
    const box = extent(figure);
    return [(box.top + box.bottom + 1) / 2, (box.left + box.right + 1) / 2];
  }
  let [total, down, right] = [0, 0, 0];
  figure.data.forEach((value, i) => {
    total += value;
    down += value * Math.floor(i / figure.width);
    right += value * (i % figure.width);
  });
  return [down / Math.max(total, 1e-9), right / Math.max(total, 1e-9)];
}

/** @param {Float32Array} canvas @param {number} size @param {Grey} figure @param {Preprocessing} recipe */
function place(canvas, size, figure, recipe) {
  const [down, right] = centre(figure, recipe);
  const [top, left] = [rint(size / 2 - down), rint(size / 2 - right)];
  for (let y = Math.max(0, -top); y < Math.min(figure.height, size - top); y++) {
    for (let x = Math.max(0, -left); x < Math.min(figure.width, size - left); x++) {
      canvas[(top + y) * size + left + x] = figure.data[y * figure.width + x];
    }
  }
}
