/** The foreground object of an image on an even background, cut out as the runtime's foreground.py does it. */

import { addHairlines, WEAK } from "./hairlines.js";
import { around, border, borderLevel, extentOf, quantile, toGrey } from "./planes.js";
import { BOX, gaussianBlur, resize } from "./resample.js";

/** @typedef {import("./planes.js").Plane} Plane */
/** @typedef {import("./planes.js").BytePlane} BytePlane */
/** @typedef {import("./planes.js").FloatPlane} FloatPlane */
/** A connected component: its bounding box (ends included), its mass, and whether it has strong ink.
 * @typedef {{top: number, bottom: number, left: number, right: number, mass: number, strong: boolean}} Component */

const { fround } = Math;
/** Sides of the image in which the colour channels are compared. */
const COARSE = 96;
/** Least ratio to the variance of luminance. */
const CLEARLY = 1.5;
const SMOOTHED_FROM = 256;
const LEAST_CONTRAST = 8;
/** Part of the border that has the background's level at least. */
const EVEN_BORDER = 0.6;
const FAINT = 0.18;
const STRONG = 0.55;
const LEAST_SIDE = 0.02;
const LEAST_PIXELS = 4;
const RIVAL = 0.25;
const MOST_UNEVEN = 0.2;
const MOST_OPPOSITE = 0.05;

/** Luminance, or the colour channel in which ink and background differ clearly more.
 * @param {Plane[]} planes grey, or red, green and blue @returns {BytePlane} */
export function bestChannel(planes) {
  if (planes.length === 1) return toGrey(planes);
  /** @param {Plane[]} some */
  const channels = (some) => [some, ...some.map((plane) => [plane])].map(toGrey);
  const spread = channels(planes.map((plane) => resize(plane, COARSE, COARSE, BOX))).map(otsuVariance);
  const best = spread.indexOf(Math.max(...spread));
  return channels(planes)[spread[best] > CLEARLY * spread[0] ? best : 0];
}

/** The greatest variance between two classes that a threshold can make (Otsu's criterion).
 * @param {BytePlane} plane */
function otsuVariance({ data }) {
  const counts = new Uint32Array(256);
  for (const value of data) counts[value]++;
  const sum = data.reduce((total, value) => total + value, 0);
  let [below, sumBelow, greatest] = [0, 0, 0];
  counts.forEach((count, level) => {
    below += count;
    sumBelow += level * count;
    const above = data.length - below;
    if (!below || !above) return;
    greatest = Math.max(greatest, below * above * (sumBelow / below - (sum - sumBelow) / above) ** 2);
  });
  return greatest / data.length ** 2;
}

/** Whether most of the border has one level.
 * @param {BytePlane} grey */
export function isOnEvenBackground(grey) {
  const background = borderLevel(grey);
  const levels = border(grey);
  const even = levels.filter((level) => Math.abs(level - background) <= LEAST_CONTRAST);
  return even.length >= EVEN_BORDER * levels.length;
}

/** The foreground from 0 (background) to 1 (ink), cut to its bounding box; null where there is none.
 * @param {BytePlane} grey @returns {FloatPlane | null} */
export function cutForeground(grey) {
  const { width, height } = grey;
  const ink = inkOf(grey);
  if (!ink) return null;
  const { labels, components } = connected(ink, width, height);
  const lines = components.filter((one) => isLine(one, width, height));
  const kept = belonging(components, lines, width, height);
  const stray = total(components.filter((one) => !kept.includes(one) && !lines.includes(one)));
  if (!kept.length || total(kept) < stray) return null;
  /** @param {Component[]} some */
  const maskOf = (some) => {
    const chosen = [false, ...components.map((one) => some.includes(one))];
    return Uint8Array.from(labels, (label) => Number(chosen[label]));
  };
  if (!isEven(ink.strength, grown(grown(maskOf([...kept, ...lines]), width), width))) return null;
  const { strength, mask } = addHairlines(ink, maskOf(kept), width);
  const near = grown(mask, width);
  const { top, bottom, left, right } = extentOf(mask, width);
  const cut = { width: right - left + 1, height: bottom - top + 1 };
  const data = new Float32Array(cut.width * cut.height);
  for (let i = 0; i < data.length; i++) {
    const at = (top + Math.floor(i / cut.width)) * width + left + (i % cut.width);
    data[i] = near[at] ? strength[at] : 0;
  }
  return { ...cut, data };
}

/** What differs from the background: its strength, 1 where usual, and where it is weak and strong ink.
 * @param {BytePlane} grey */
function inkOf(grey) {
  const { data } = Math.max(grey.width, grey.height) < SMOOTHED_FROM ? grey : gaussianBlur(grey, 0.8);
  const background = borderLevel({ ...grey, data });
  let cubes = 0;
  for (const value of data) cubes += Math.abs(value - background) > LEAST_CONTRAST ? (value - background) ** 3 : 0;
  const difference = Float32Array.from(data, (value) => (cubes < 0 ? background - value : value - background));
  const beyond = difference.filter((value) => value > LEAST_CONTRAST);
  if (!beyond.length) return null;
  const squares = beyond.reduce((sum, value) => sum + value ** 2, 0);
  const usual = Math.max(quantile(beyond, 0.75, Number), beyond.reduce((sum, value) => sum + value ** 3, 0) / squares);
  const [faint, weak] = [FAINT, WEAK].map((share) => Math.max(share * usual, 0.75 * LEAST_CONTRAST));
  const strong = Math.max(STRONG * usual, LEAST_CONTRAST);
  return {
    strength: difference.map((value) => value / fround(usual)),
    faint: difference.map((value) => Number(value > fround(faint))),
    weak: difference.map((value) => Number(value > fround(weak))),
    strong: difference.map((value) => Number(value > fround(strong))),
  };
}

/** @param {Component[]} components */
const total = (components) => components.reduce((sum, one) => sum + one.mass, 0);

/** A mask and all pixels beside it.
 * @param {Uint8Array} mask @param {number} width */
function grown(mask, width) {
  const out = new Uint8Array(mask.length);
  mask.forEach((set, i) => {
    if (set) for (const next of around(i, width, mask.length / width)) out[next] = 1;
  });
  return out;
}

/** Whether the rest is an even background.
 * @param {Float32Array} strength @param {Uint8Array} foreground */
function isEven(strength, foreground) {
  const rest = strength.filter((_, i) => !foreground[i]);
  const squares = rest.reduce((sum, value) => sum + Math.max(-2, Math.min(2, value)) ** 2, 0);
  const opposite = rest.filter((value) => value < fround(-0.35)).length;
  return !rest.length || (Math.sqrt(squares / rest.length) < MOST_UNEVEN && opposite / rest.length < MOST_OPPOSITE);
}

/** Number the 8-connected components in reading order, and measure each.
 * @param {{strength: Float32Array, weak: Float32Array, strong: Float32Array}} ink
 * @param {number} width @param {number} height */
function connected({ strength, weak, strong }, width, height) {
  const labels = new Int32Array(weak.length);
  /** @type {Component[]} */
  const components = [];
  for (let start = 0; start < weak.length; start++) {
    if (!weak[start] || labels[start]) continue;
    const one = { top: height, bottom: -1, left: width, right: -1, mass: 0, strong: false };
    components.push(one);
    labels[start] = components.length;
    const waiting = [start];
    for (let here = waiting.pop(); here !== undefined; here = waiting.pop()) {
      const [x, y] = [here % width, Math.floor(here / width)];
      one.top = Math.min(one.top, y);
      one.bottom = Math.max(one.bottom, y);
      one.left = Math.min(one.left, x);
      one.right = Math.max(one.right, x);
      one.mass += Math.min(strength[here], 1);
      one.strong ||= Boolean(strong[here]);
      for (const next of around(here, width, height)) {
        if (!weak[next] || labels[next]) continue;
        labels[next] = components.length;
        waiting.push(next);
      }
    }
  }
  return { labels, components };
}

/** Whether a component is a line of ruled paper: all across it, or long, thin and level.
 * @param {Component} one @param {number} width @param {number} height */
function isLine(one, width, height) {
  const sides = [
    [one.bottom - one.top + 1, height],
    [one.right - one.left + 1, width],
  ];
  return [sides, [...sides].reverse()].some(
    ([[length, all], [thick, across]]) =>
      (length > 0.8 * all && thick < 0.1 * across) || (length > 8 * thick && thick < 0.03 * across),
  );
}

/** The main component and those that belong to it.
 * @param {Component[]} components @param {Component[]} lines @param {number} width @param {number} height */
function belonging(components, lines, width, height) {
  const described = components.map((one) => {
    const longer = Math.max(one.bottom - one.top, one.right - one.left) + 1;
    const possible = one.strong && longer >= Math.max(LEAST_PIXELS, LEAST_SIDE * Math.max(width, height));
    const atEdge = one.top === 0 || one.bottom === height - 1 || one.left === 0 || one.right === width - 1;
    const off = Math.hypot((one.top + one.bottom + 1) / height - 1, (one.left + one.right + 1) / width - 1);
    const weight = Number(possible) * (atEdge || lines.includes(one) ? 0.1 : 1);
    return { one, longer, atEdge, score: one.mass * (1 - 0.5 * Math.min(off, 1)) * weight };
  });
  const main = described.reduce((best, other) => (other.score > best.score ? other : best), described[0]);
  if (!main?.score) return [];
  const candidates = described.filter(
    ({ one, longer, atEdge }) =>
      one.strong &&
      (main.atEdge || !atEdge) && // a digit that fills the image may touch its edge with every part
      !lines.includes(one) &&
      one.mass > 0.02 * main.one.mass &&
      longer > 0.08 * main.longer,
  );
  const kept = [main.one];
  for (;;) {
    const frame = frameOf(kept);
    const more = candidates.filter(({ one }) => {
      const away = Math.max(frame.top - one.bottom, one.top - frame.bottom, frame.left - one.right, one.left - frame.right);
      return !kept.includes(one) && (away <= 0.15 * main.longer || one.mass > RIVAL * main.one.mass);
    });
    if (!more.length) return kept;
    kept.push(...more.map(({ one }) => one));
  }
}

/** The bounding box of components.
 * @param {Component[]} components */
function frameOf(components) {
  return {
    top: Math.min(...components.map((one) => one.top)),
    bottom: Math.max(...components.map((one) => one.bottom)),
    left: Math.min(...components.map((one) => one.left)),
    right: Math.max(...components.map((one) => one.right)),
  };
}
