/** What each code changes: its row of the sheet of codes, a map of the changes, and their size. */

import { element } from "./dom.js";
import { context } from "./images.js";
import { signed } from "./names.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").Effect} Effect */

const GAP = 2;

/** Show the rows; the texts, which take the server longer, follow.
 * @param {HTMLElement} root @param {Run} run @param {number} step */
export async function showEffects(root, run, step) {
  const { layout, size } = run;
  if (!layout || !size) return;
  const sheet = new Image();
  sheet.src = `codes/${step}.png`;
  await sheet.decode();
  const texts = layout.code_rows.map(() => element("span", "effect-text"));
  const rows = layout.code_rows.map(({ code, count }, row) => effectRow(code, count, texts[row], sheet, row, size));
  if (layout.left_out) rows.push(element("p", "explain", `${layout.left_out} more codes are not shown.`));
  root.replaceChildren(...rows);
  const response = await fetch(`effects/${step}.json`);
  if (!response.ok) return;
  const effects = /** @type {Effect[]} */ (await response.json());
  effects.forEach(({ strength, attributes = [] }, row) => {
    const follows = attributes.map(([name, correlation]) => `${name} (r = ${signed(correlation)}), `);
    texts[row].textContent = `${follows.join("")}change ${(100 * strength).toFixed(1)} %`;
  });
}

/** @param {string} code @param {number} count @param {HTMLElement} text @param {HTMLImageElement} sheet
 * @param {number} row @param {number} size */
function effectRow(code, count, text, sheet, row, size) {
  const images = element("canvas", "");
  const stride = size + GAP;
  images.width = sheet.width - 2 * GAP;
  images.height = size;
  const target = context(images, { willReadFrequently: true });
  target.drawImage(sheet, -GAP, -(GAP + row * stride));
  target.clearRect(count * stride - GAP, 0, images.width, size); // repeated categories
  images.setAttribute("role", "img");
  images.setAttribute("aria-label", `Images along ${code}`);
  const map = changeMap(target, count, size);
  map.setAttribute("role", "img");
  map.setAttribute("aria-label", `Where ${code} changes pixels`);
  const head = [element("span", "effect-name", code), text];
  return element("div", "effect", ...head, element("div", "effect-row", images, map));
}

/** The standard deviation of each pixel along a row, relative to the greatest.
 * @param {CanvasRenderingContext2D} target @param {number} count @param {number} size */
function changeMap(target, count, size) {
  const [sums, squares] = [new Float64Array(size * size), new Float64Array(size * size)];
  for (let n = 0; n < count; n++) {
    const { data } = target.getImageData(n * (size + GAP), 0, size, size);
    for (let i = 0; i < sums.length; i++) {
      const grey = (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3;
      sums[i] += grey;
      squares[i] += grey * grey;
    }
  }
  const spread = sums.map((sum, i) => Math.sqrt(Math.max(0, squares[i] / count - (sum / count) ** 2)));
  const greatest = spread.reduce((a, b) => Math.max(a, b), 1);
  const canvas = element("canvas", "");
  canvas.width = canvas.height = size;
  const pixels = new ImageData(size, size);
  spread.forEach((value, i) => pixels.data.set([255 * (value / greatest), 160 * (value / greatest), 40 * (value / greatest), 255], 4 * i));
  context(canvas).putImageData(pixels, 0, 0);
  return canvas;
}
