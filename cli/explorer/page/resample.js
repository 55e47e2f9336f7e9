/** Pillow's resize and Gaussian blur, step by step and with its rounding, so that pixels come out equal. */

import { rint } from "./planes.js";

/** @typedef {import("./planes.js").Plane} Plane */
/** @typedef {{support: number, weight: (x: number) => number}} Filter */

const { fround } = Math;

/** @type {Filter} */
export const BOX = { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) };

/** @type {Filter} */
export const HAMMING = {
  support: 1,
  weight(x) {
    const a = Math.abs(x);
    if (a === 0) return 1;
    if (a >= 1) return 0;
    return (Math.sin(a * Math.PI) / (a * Math.PI)) * (0.54 + 0.46 * Math.cos(a * Math.PI));
  },
};

/** @type {Filter} */
export const BICUBIC = {
  support: 2,
  weight(x) {
    const a = Math.abs(x);
    if (a < 1) return (1.5 * a - 2.5) * a * a + 1;
    if (a < 2) return (((a - 5) * a + 8) * a - 4) * -0.5;
    return 0;
  },
};

/** Fixed-point bits of the weights of bytes. */
const BITS = 22;

/** For each output pixel the first input pixel and the weights from there.
 * @param {number} from @param {number} to @param {Filter} filter */
function weights(from, to, filter) {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  return Array.from({ length: to }, (_, out) => {
    const centre = (out + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const values = [];
    let sum = 0;
    for (let at = first; at < end; at++) {
      values.push(filter.weight((at - centre + 0.5) / stretch));
      sum += values[values.length - 1];
    }
    return { first, values: sum ? values.map((weight) => weight / sum) : values };
  });
}

/** @param {number} weight */
const fixed = (weight) => Math.trunc(weight * 2 ** BITS + (weight < 0 ? -0.5 : 0.5));

/** Resample along one axis.
 * @param {Plane} plane @param {number} to @param {Filter} filter @param {boolean} down along columns @returns {Plane} */
function along(plane, to, filter, down) {
  const { width, height, data } = plane;
  const bytes = data instanceof Uint8Array;
  const size = down ? width * to : height * to;
  const out = bytes ? new Uint8Array(size) : new Float32Array(size);
  const [lines, step, stride] = down ? [width, 1, width] : [height, width, 1];
  const [outStep, outStride] = down ? [1, width] : [to, 1];
  weights(down ? height : width, to, filter).forEach(({ first, values }, place) => {
    const used = bytes ? values.map(fixed) : values;
    for (let line = 0; line < lines; line++) {
      let sum = bytes ? 2 ** (BITS - 1) : 0;
      let at = line * step + first * stride;
      for (const weight of used) {
        sum += data[at] * weight;
        at += stride;
      }
      out[line * outStep + place * outStride] = bytes ? Math.max(0, Math.min(255, Math.floor(sum / 2 ** BITS))) : sum;
    }
  });
  return down ? { width, height: to, data: out } : { width: to, height, data: out };
}

/** Resize so that the longer side has a length.
 * @param {Plane} plane @param {number} longer @param {Filter} filter @returns {Plane} */
export function resizeTo(plane, longer, filter) {
  const scale = longer / Math.max(plane.width, plane.height);
  const [width, height] = [plane.width, plane.height].map((side) => Math.max(1, rint(side * scale)));
  return resize(plane, width, height, filter);
}

/** Resize as Image.resize does with an antialiasing filter.
 * @param {Plane} plane @param {number} width @param {number} height @param {Filter} filter @returns {Plane} */
export function resize(plane, width, height, filter) {
  /** @param {Plane} given */
  const across = (given) => (given.width === width ? given : along(given, width, filter, false));
  /** @param {Plane} given */
  const down = (given) => (given.height === height ? given : along(given, height, filter, true));
  // Pillow begins with the height where that shrinks by more than twice as many pixels as the width.
  const less = plane.height - height;
  return less > 0 && less > 2 * (plane.width - width) ? across(down(plane)) : down(across(plane));
}

/** The radius of the box whose three blurs approximate a Gaussian, in float32 as Pillow computes it.
 * @param {number} radius */
function boxRadius(radius) {
  const variance = fround(fround(radius * radius) / 3);
  const length = fround(Math.sqrt(12 * variance + 1));
  const whole = Math.floor((length - 1) / 2);
  const above = fround((2 * whole + 1) * fround(whole * (whole + 1) - fround(3 * variance)));
  const below = fround(6 * fround(variance - (whole + 1) * (whole + 1)));
  return fround(whole + fround(above / below));
}

/** Blur bytes as ImageFilter.GaussianBlur does: three box blurs across, three down.
 * @param {Plane} plane @param {number} radius @returns {Plane} */
export function gaussianBlur({ width, height, data: bytes }, radius) {
  const box = boxRadius(radius);
  const reach = Math.trunc(box);
  const inner = Math.trunc(fround(2 ** 24 / fround(fround(box * 2) + 1)));
  const outer = Math.trunc((2 ** 24 - (reach * 2 + 1) * inner) / 2);
  let data = Uint8Array.from(bytes);
  for (const [lines, step, count, stride] of [
    [height, width, width, 1],
    [width, 1, height, width],
  ]) {
    for (let pass = 0; pass < 3; pass++) {
      const out = new Uint8Array(data.length);
      for (let line = 0; line < lines; line++) {
        const start = line * step;
        /** @param {number} i */
        const value = (i) => data[start + Math.max(0, Math.min(count - 1, i)) * stride];
        for (let i = 0; i < count; i++) {
          let sum = 0;
          for (let d = -reach; d <= reach; d++) sum += value(i + d);
          const total = sum * inner + (value(i - reach - 1) + value(i + reach + 1)) * outer;
          out[start + i * stride] = Math.floor((total + 2 ** 23) / 2 ** 24);
        }
      }
      data = out;
    }
  }
  return { width, height, data };
}
