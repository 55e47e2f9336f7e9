/** The hairlines of an object, added as the runtime's hairlines.py does it. */

import { around, extentOf, rint } from "./planes.js";

const { fround } = Math;
/** Threshold of ink, as a share of the usual ink's strength. */
export const WEAK = 0.37;
const LEVEL = 0.6;
const MOST = 4;
const REACH = 0.08;
const LONGEST = 1.5;
const LARGEST = 2;

/** The strength of the ink, from 0 to 1, and the object's mask, both with its hairlines.
 * @param {{strength: Float32Array, faint: Float32Array}} ink
 * @param {Uint8Array} mask @param {number} width */
export function addHairlines({ strength, faint }, mask, width) {
  const bounded = strength.map((value) => Math.max(0, Math.min(1, value)));
  const unchanged = { strength: bounded, mask };
  const longer = longerSide(mask, width);
  const region = connectedTo(mask, faint, width);
  if (longerSide(region, width) > LONGEST * longer + 2) return unchanged;
  const inRegion = bounded.map((value, i) => (region[i] ? value : 0));
  const beside = localMaximum(inRegion, width, Math.max(1, rint(REACH * longer)));
  const raised = bounded.map((value, i) => {
    const factor = fround(fround(LEVEL) / Math.max(beside[i], fround(1e-3)));
    return fround(value * Math.max(1, Math.min(MOST, factor)));
  });
  const added = region.map((set, i) => Number(set && !mask[i] && raised[i] > fround(WEAK)));
  const [size, own] = [added, mask].map((some) => some.reduce((sum, set) => sum + set, 0));
  if (!size || size > LARGEST * own) return unchanged;
  return {
    strength: bounded.map((value, i) => (mask[i] ? value : raised[i])),
    mask: mask.map((set, i) => set | added[i]),
  };
}

/** @param {Uint8Array} mask @param {number} width */
function longerSide(mask, width) {
  const { top, bottom, left, right } = extentOf(mask, width);
  return Math.max(bottom - top, right - left) + 1;
}

/** The components of a wider mask that have a pixel of ``mask``.
 * @param {Uint8Array} mask @param {Float32Array} wider @param {number} width */
function connectedTo(mask, wider, width) {
  const found = mask.map((set, i) => Number(set && wider[i]));
  const waiting = [...found.keys()].filter((i) => found[i]);
  for (let here = waiting.pop(); here !== undefined; here = waiting.pop()) {
    for (const next of around(here, width, mask.length / width)) {
      if (!wider[next] || found[next]) continue;
      found[next] = 1;
      waiting.push(next);
    }
  }
  return found;
}

/** The greatest value in the square around each pixel.
 * @param {Float32Array} values @param {number} width @param {number} reach */
function localMaximum(values, width, reach) {
  const height = values.length / width;
  const out = values.slice();
  /** @param {number} first @param {number} step @param {number} length */
  const along = (first, step, length) => {
    const line = new Float32Array(length + 2 * reach);
    for (let i = 0; i < length; i++) line[reach + i] = out[first + i * step];
    for (let span = 1; span < 2 * reach + 1; ) {
      const more = Math.min(span, 2 * reach + 1 - span);
      for (let i = 0; i + more < line.length; i++) line[i] = Math.max(line[i], line[i + more]);
      span += more;
    }
    for (let i = 0; i < length; i++) out[first + i * step] = line[i];
  };
  for (let y = 0; y < height; y++) along(y * width, 1, width);
  for (let x = 0; x < width; x++) along(x, width, height);
  return out;
}
