/** The one figure of a picture, cut out, step for step as the runtime's figure.py does it, which says why. */

/** @typedef {import("./paper.js").Grey} Grey */
/** @typedef {import("./paper.js").Ink} Ink */
/** @typedef {{number: number, top: number, bottom: number, left: number, right: number, mass: number, sure: boolean}} Part */

const LEAST_SIDE = 0.02;
const LEAST_PIXELS = 4;
const RIVAL = 0.25;
const LEAST_SHARE = 0.5;
const MOST_UNEVEN = 0.2;
const MOST_OPPOSITE = 0.05;
const OPPOSITE = Math.fround(-0.35);

/** The figure from 0 (ground) to 1 (ink), cut to its bounding box; null where there is no figure on a ground.
 * @param {Ink} ink @returns {Grey | null} */
export function cutOut(ink) {
  const { width, height, data } = ink.strength;
  const { labels, parts } = components(ink);
  const lines = parts.filter((part) => isLine(part, width, height));
  const kept = belonging(parts, lines, width, height);
  if (!kept.length) return null;
  const marked = (/** @type {Part[]} */ some) => {
    const chosen = new Uint8Array(parts.length + 1);
    for (const part of some) chosen[part.number] = 1;
    return grown(Uint8Array.from(labels, (label) => chosen[label]), width);
  };
  const near = marked(kept);
  const stray = total(parts.filter((part) => !kept.includes(part) && !lines.includes(part)));
  if (total(kept) < (LEAST_SHARE / (1 - LEAST_SHARE)) * stray) return null;
  if (!isEven(data, grown(marked([...kept, ...lines]), width))) return null;
  const box = around(kept);
  const [w, h] = [box.right - box.left + 1, box.bottom - box.top + 1];
  const figure = new Float32Array(w * h);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const at = (box.top + y) * width + box.left + x;
      figure[y * w + x] = near[at] ? Math.max(0, Math.min(1, data[at])) : 0;
    }
  }
  return { width: w, height: h, data: figure };
}

/** @param {Part[]} parts */
const total = (parts) => parts.reduce((sum, part) => sum + part.mass, 0);

/** A mask and all pixels beside it.
 * @param {Uint8Array} mask @param {number} width */
function grown(mask, width) {
  const out = new Uint8Array(mask.length);
  const height = mask.length / width;
  mask.forEach((set, i) => {
    if (!set) return;
    const [x, y] = [i % width, Math.floor(i / width)];
    for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
      for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) out[ny * width + nx] = 1;
    }
  });
  return out;
}

/** Whether what is not figure is an even ground.
 * @param {Float32Array} strength @param {Uint8Array} figure */
function isEven(strength, figure) {
  let [count, squares, opposite] = [0, 0, 0];
  strength.forEach((value, i) => {
    if (figure[i]) return;
    count++;
    squares += Math.max(-2, Math.min(2, value)) ** 2;
    opposite += Number(value < OPPOSITE);
  });
  return !count || (Math.sqrt(squares / count) < MOST_UNEVEN && opposite / count < MOST_OPPOSITE);
}

/** Number the 8-connected components in reading order, and measure each.
 * @param {Ink} ink */
function components({ strength: { width, height, data }, mask, strong }) {
  const labels = new Int32Array(mask.length);
  /** @type {Part[]} */
  const parts = [];
  /** @type {number[]} */
  const waiting = [];
  for (let start = 0; start < mask.length; start++) {
    if (!mask[start] || labels[start]) continue;
    const part = { number: parts.length + 1, top: height, bottom: -1, left: width, right: -1, mass: 0, sure: false };
    parts.push(part);
    labels[start] = parts.length;
    waiting.push(start);
    for (let here = waiting.pop(); here !== undefined; here = waiting.pop()) {
      const [x, y] = [here % width, Math.floor(here / width)];
      part.top = Math.min(part.top, y);
      part.bottom = Math.max(part.bottom, y);
      part.left = Math.min(part.left, x);
      part.right = Math.max(part.right, x);
      part.mass += Math.min(data[here], 1);
      part.sure ||= Boolean(strong[here]);
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          const next = ny * width + nx;
          if (!mask[next] || labels[next]) continue;
          labels[next] = parts.length;
          waiting.push(next);
        }
      }
    }
  }
  return { labels, parts };
}

/** Whether a component is a line that paper is ruled with: all across it, or long, thin and level.
 * @param {Part} part @param {number} width @param {number} height */
function isLine(part, width, height) {
  const sides = [
    [part.bottom - part.top + 1, height],
    [part.right - part.left + 1, width],
  ];
  return [sides, [...sides].reverse()].some(
    ([[length, all], [thick, across]]) =>
      (length > 0.8 * all && thick < 0.1 * across) || (length > 8 * thick && thick < 0.03 * across),
  );
}

/** The main component and those that belong to it.
 * @param {Part[]} parts @param {Part[]} lines @param {number} width @param {number} height @returns {Part[]} */
function belonging(parts, lines, width, height) {
  const described = parts.map((part) => {
    const [tall, wide] = [part.bottom - part.top + 1, part.right - part.left + 1];
    const longer = Math.max(tall, wide);
    const possible = part.sure && longer >= Math.max(LEAST_PIXELS, LEAST_SIDE * Math.max(width, height));
    const atEdge = part.top === 0 || part.bottom === height - 1 || part.left === 0 || part.right === width - 1;
    const ruled = lines.includes(part);
    const off = Math.hypot((part.top + part.bottom + 1) / height - 1, (part.left + part.right + 1) / width - 1);
    const score = part.mass * (1 - 0.5 * Math.min(off, 1)) * (atEdge || ruled ? 0.1 : 1) * Number(possible);
    return { part, longer, possible, atEdge, ruled, score };
  });
  if (!described.some(({ possible }) => possible)) return [];
  const main = described.reduce((best, one) => (one.score > best.score ? one : best));
  const edgeCounts = !main.atEdge; // a figure that fills the picture may touch its edge with every part
  const candidates = described.filter(
    (one) =>
      one !== main &&
      one.part.sure &&
      !(edgeCounts && one.atEdge) &&
      !one.ruled &&
      one.part.mass > 0.02 * main.part.mass &&
      one.longer > 0.08 * main.longer,
  );
  const gap = 0.15 * main.longer;
  const kept = [main.part];
  for (let frame = around(kept); ; frame = around(kept)) {
    const more = candidates.filter(({ part }) => {
      const away = Math.max(
        frame.top - part.bottom,
        part.top - frame.bottom,
        frame.left - part.right,
        part.left - frame.right,
      );
      return !kept.includes(part) && (away <= gap || part.mass > RIVAL * main.part.mass);
    });
    if (!more.length) return kept;
    kept.push(...more.map(({ part }) => part));
  }
}

/** @param {Part[]} parts */
function around(parts) {
  return {
    top: Math.min(...parts.map((part) => part.top)),
    bottom: Math.max(...parts.map((part) => part.bottom)),
    left: Math.min(...parts.map((part) => part.left)),
    right: Math.max(...parts.map((part) => part.right)),
  };
}
