/** Line charts as SVG: curves over the epochs, with a legend that shows their values at one of them. */

import { element } from "./dom.js";

/** @typedef {{name: string, values: (number | null)[], reference?: number}} Series */
/** @typedef {{
 *   x: (number | null)[], xName: string, series: Series[], low?: number, high?: number, middle?: number,
 *   at: number | null
 * }} Chart `reference` of a series is dotted in its colour, `middle` in grey; `at` is the marked x */

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [380, 210, 40, 30, 8, 6];
const STYLES = 6;
const TICKS = 5;
/** Curves of more points are faint, with their running mean. */
const SMOOTHED = 60;
const WINDOW = 11;
/** Shares of the values that the range covers. */
const COVERED = [0.005, 0.995];

/** @param {number} index */
export const seriesClass = (index) => `series-${index % STYLES}`;

/** Draw a chart into an element, in place of what it holds; without values its whole panel is hidden.
 * @param {HTMLElement} root @param {Chart} chart @param {string} label */
export function drawChart(root, chart, label) {
  const known = chart.series.filter(({ values }) => values.some((value) => value !== null));
  root.hidden = !known.length;
  const panel = root.parentElement;
  if (panel?.matches(".curve")) panel.hidden = !known.length;
  if (!known.length) return root.replaceChildren();
  const smooth = known.map(({ values }) => (values.length > SMOOTHED ? runningMean(values) : values));
  const frame = frameOf(chart, known);
  const drawn = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const ends = known.map(({ name }, i) => `${name} ${readable(last(smooth[i]))}`).join(", ");
  drawn.setAttribute("aria-label", `${label}; last values: ${ends}`);
  drawAxes(drawn, frame, chart.xName);
  if (chart.middle !== undefined) drawn.append(across(frame, chart.middle, "reference"));
  known.forEach(({ values, reference }, i) => {
    const group = svg("g", { class: seriesClass(i) });
    if (reference !== undefined) group.append(across(frame, reference, "reference"));
    if (values.length > SMOOTHED) group.append(line(frame, chart.x, values, "line faint"));
    group.append(line(frame, chart.x, smooth[i], "line"), ...dot(frame, chart.x, smooth[i]));
    drawn.append(group);
  });
  if (chart.at !== null && chart.at >= frame.x0 && chart.at <= frame.x1) {
    const x = frame.px(chart.at);
    drawn.append(svg("line", { class: "here", x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }));
  }
  const place = nearest(chart.x, chart.at);
  const legend = element("ul", "legend", ...known.map((one, i) => legendItem(one, i, smooth[i][place])));
  root.replaceChildren(element("div", "chart", legend, drawn));
}

/** @param {Series} series @param {number} index @param {number | null} value */
function legendItem({ name, reference }, index, value) {
  const key = svg("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
  key.append(svg("line", { class: "line", x1: 0, x2: 22, y1: 4, y2: 4 }));
  const of = reference === undefined ? "" : ` of ${reference.toFixed(2)}`;
  const item = element("li", `chart ${seriesClass(index)}`, key, element("span", "", name), element("b", "", readable(value) + of));
  return item;
}

/** @param {Chart} chart @param {Series[]} series */
function frameOf(chart, series) {
  const values = series.flatMap((one) => one.values.filter((value) => value !== null)).sort((a, b) => a - b);
  const covered = COVERED.map((share) => values[Math.round(share * (values.length - 1))]);
  const wanted = [...covered, ...series.flatMap(({ reference }) => reference ?? [])];
  let [y0, y1] = [Math.min(...wanted), Math.max(...wanted)];
  const margin = 0.08 * (y1 - y0) || 0.5;
  y0 -= margin;
  y1 += margin;
  // The scores of some losses are not probabilities.
  if (chart.low !== undefined && chart.high !== undefined && y0 >= chart.low - 0.3 && y1 <= chart.high + 0.3) {
    [y0, y1] = [chart.low, chart.high];
  }
  const xs = chart.x.filter((value) => value !== null);
  const [x0, x1] = [Math.min(0, ...xs), Math.max(1e-9, ...xs)];
  /** @param {number} x */
  const px = (x) => LEFT + ((x - x0) / (x1 - x0)) * (WIDTH - LEFT - RIGHT);
  /** @param {number} y */
  const py = (y) => TOP + ((y1 - Math.max(y0, Math.min(y1, y))) / (y1 - y0)) * (HEIGHT - TOP - BOTTOM);
  return { x0, x1, y0, y1, px, py };
}

/** @typedef {ReturnType<typeof frameOf>} Frame */

/** @param {SVGElement} drawn @param {Frame} frame @param {string} name */
function drawAxes(drawn, frame, name) {
  for (const value of ticks(frame.y0, frame.y1)) {
    drawn.append(across(frame, value, "grid"), text(LEFT - 6, frame.py(value) + 4, readable(value), "end"));
  }
  for (const value of ticks(frame.x0, frame.x1)) {
    drawn.append(text(frame.px(value), HEIGHT - BOTTOM + 15, readable(value), "middle"));
  }
  drawn.append(text((WIDTH + LEFT) / 2, HEIGHT - 2, name, "middle"));
}

/** @param {Frame} frame @param {number} value @param {string} className */
function across(frame, value, className) {
  const y = frame.py(value);
  return svg("line", { class: className, x1: LEFT, x2: WIDTH - RIGHT, y1: y, y2: y });
}

/** A path with a gap where a value is missing.
 * @param {Frame} frame @param {(number | null)[]} x @param {(number | null)[]} y @param {string} className */
function line(frame, x, y, className) {
  let path = "";
  let pen = "M";
  x.forEach((value, i) => {
    const height = y[i];
    if (value === null || height === null || height === undefined) return void (pen = "M");
    path += `${pen}${frame.px(value).toFixed(1)} ${frame.py(height).toFixed(1)}`;
    pen = "L";
  });
  return svg("path", { class: className, d: path });
}

/** A dot where a curve is a single point, which is no line.
 * @param {Frame} frame @param {(number | null)[]} x @param {(number | null)[]} y */
function dot(frame, x, y) {
  const [first] = x;
  if (x.length !== 1 || first === null || y[0] === null) return [];
  return [svg("circle", { class: "dot", cx: frame.px(first), cy: frame.py(y[0]), r: 3 })];
}

/** Round numbers within a range.
 * @param {number} low @param {number} high */
function ticks(low, high) {
  const rough = (high - low) / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((one) => one * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

/** @param {(number | null)[]} values */
function runningMean(values) {
  const half = (WINDOW - 1) / 2;
  return values.map((own, i) => {
    const near = values.slice(Math.max(0, i - half), i + half + 1).filter((value) => value !== null);
    return own === null ? null : near.reduce((sum, value) => sum + value, 0) / near.length;
  });
}

/** The index of the x that is nearest to `at`; the last one without `at`.
 * @param {(number | null)[]} x @param {number | null} at */
function nearest(x, at) {
  if (at === null) return x.length - 1;
  let best = 0;
  x.forEach((value, i) => {
    if (value !== null && Math.abs(value - at) < Math.abs((x[best] ?? Infinity) - at)) best = i;
  });
  return best;
}

/** @param {(number | null)[]} values */
const last = (values) => values.findLast((value) => value !== null) ?? null;

/** @param {number | null | undefined} value */
export function readable(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  const shown = size >= 1e5 || (size && size < 1e-3) ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return shown.replace("-", "−");
}

/** @param {number} x @param {number} y @param {string} content @param {string} anchor */
function text(x, y, content, anchor) {
  const made = svg("text", { x, y, "text-anchor": anchor });
  made.textContent = content;
  return made;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function svg(name, attributes) {
  const made = /** @type {SVGElement} */ (document.createElementNS(SPACE, name));
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
