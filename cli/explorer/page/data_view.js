/** The images of a folder in code space: a point for each, and those that the model handles worst. */

import { reachOf } from "./controls.js";
import { byId, element } from "./dom.js";
import { readFile, readJson } from "./files.js";
import { context, imageBytes, paint } from "./images.js";
import { categoryName, inOrder, percent, signed, styleName } from "./names.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").DataTable} DataTable */
/** @typedef {{name: string, values: number[], low: number, high: number, style: boolean}} Axis */

const [WIDTH, HEIGHT, MARGIN, POINT, NEAR] = [760, 560, 14, 3.2, 16];
const WORST = 12;
const TURN = 137.5;

/** @param {BundleInfo} info @param {(pixels: Uint8Array) => void} onTake */
export async function showData(info, onTake) {
  const [table, pixels] = await Promise.all([readJson("data.json"), readFile("data.bin")]);
  const view = new CodeSpace(info, table, pixels, onTake);
  view.build();
  byId("data").hidden = false;
}

class CodeSpace {
  /** @param {BundleInfo} info @param {DataTable} table @param {Uint8Array} pixels
   * @param {(pixels: Uint8Array) => void} onTake */
  constructor(info, table, pixels, onTake) {
    this.info = info;
    this.table = table;
    this.pixels = pixels;
    this.onTake = onTake;
    this.image = info.metadata.image;
    this.axes = axesOf(info, table);
    this.chosen = [0, Math.min(1, this.axes.length - 1)];
    this.canvas = /** @type {HTMLCanvasElement} */ (byId("scatter"));
    this.canvas.width = WIDTH;
    this.canvas.height = HEIGHT;
    this.pointed = -1;
  }

  build() {
    const { table, info } = this;
    const count = table.names.length;
    const part = table.total > count ? `, ${count.toLocaleString("en")} of them, chosen at random` : "";
    byId("data-count").textContent = `${table.total.toLocaleString("en")} images${part}.`;
    const menus = this.chosen.map((axis, i) => {
      const menu = element("select", "");
      this.axes.forEach(({ name }, index) => menu.add(new Option(name, String(index))));
      menu.value = String(axis);
      menu.addEventListener("change", () => {
        this.chosen[i] = Number(menu.value);
        this.draw();
      });
      return element("label", "", i ? "up " : "across ", menu);
    });
    byId("data-axes").replaceChildren(...menus);
    const names = info.codes.categorical.length ? inOrder(info, 0) : [];
    byId("data-legend").replaceChildren(...names.map((category) => {
      const key = element("i", "");
      key.style.background = colour(category);
      return element("li", "", key, categoryName(info, 0, category));
    }));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.highlight(-1));
    this.canvas.addEventListener("click", () => this.pointed >= 0 && this.take(this.pointed));
    this.draw();
    this.buildGallery();
  }

  /** @param {number} index */
  take(index) {
    const size = imageBytes(this.image);
    this.onTake(this.pixels.slice(index * size, (index + 1) * size));
  }

  /** Where an image is on the canvas.
   * @param {number} index @returns {[number, number]} */
  place(index) {
    const [x, y] = this.chosen.map((axis) => share(this.axes[axis], this.axes[axis].values[index]));
    return [MARGIN + x * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN)];
  }

  draw() {
    const target = context(this.canvas);
    target.clearRect(0, 0, WIDTH, HEIGHT);
    const [across, up] = this.chosen.map((axis) => this.axes[axis]);
    target.strokeStyle = "#ffffffb0";
    target.lineWidth = 1.5;
    if (across.style && up.style) {
      const [left, right] = [-1, 1].map((value) => MARGIN + share(across, value) * (WIDTH - 2 * MARGIN));
      const [top, bottom] = [1, -1].map((value) => HEIGHT - MARGIN - share(up, value) * (HEIGHT - 2 * MARGIN));
      target.strokeRect(left, top, right - left, bottom - top);
    }
    const first = this.table.categories[0];
    this.table.names.forEach((_, index) => {
      target.fillStyle = colour(first ? first[index] : 0);
      target.globalAlpha = 0.8;
      this.dot(target, index, POINT);
      target.fill();
    });
    target.globalAlpha = 1;
    if (this.pointed >= 0) {
      target.strokeStyle = "#fff";
      target.lineWidth = 2.5;
      this.dot(target, this.pointed, 2.5 * POINT);
      target.stroke();
    }
    const label = `${this.table.names.length} images by ${across.name} (across) and ${up.name} (up)`;
    this.canvas.setAttribute("aria-label", label);
  }

  /** @param {CanvasRenderingContext2D} target @param {number} index @param {number} radius */
  dot(target, index, radius) {
    const [x, y] = this.place(index);
    target.beginPath();
    target.arc(x, y, radius, 0, 2 * Math.PI);
  }

  /** @param {PointerEvent} event */
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = WIDTH / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let [best, nearest] = [-1, (NEAR * scale) ** 2];
    for (let index = 0; index < this.table.names.length; index++) {
      const [px, py] = this.place(index);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < nearest) [best, nearest] = [index, distance];
    }
    this.highlight(best);
  }

  /** @param {number} index */
  highlight(index) {
    if (index === this.pointed) return;
    this.pointed = index;
    this.draw();
    const figure = byId("pointed");
    figure.classList.toggle("none", index < 0);
    if (index < 0) return;
    paint(/** @type {HTMLCanvasElement} */ (byId("pointed-image")), this.pixels, this.image, index);
    byId("pointed-text").textContent = this.describe(index);
  }

  /** @param {number} index */
  describe(index) {
    const { table, info } = this;
    const category = table.categories.map((codes, code) => categoryName(info, code, codes[index])).join(", ");
    const confidence = category && ` (${percent(table.confidence[index])})`;
    const styles = table.styles.map((values, code) => `${styleName(info, code)} ${signed(values[index])}`);
    const flags = table.ood?.[index] ? "out of distribution" : "";
    const error = `difference ${(100 * table.error[index]).toFixed(1)} %`;
    return [table.names[index], category + confidence, ...styles, flags, error].filter(Boolean).join(" · ");
  }

  buildGallery() {
    const { table } = this;
    /** @type {[string, number[], number][]} title, values, and 1 where the greatest are the worst */
    const lists = [["Reconstructed worst", table.error, 1]];
    if (table.categories.length) lists.unshift(["Least confident", table.confidence, -1]);
    if (table.distance) lists.unshift(["Least like the training images", table.distance, 1]);
    byId("gallery").replaceChildren(...lists.map(([title, values, sign]) => {
      const order = [...values.keys()].sort((a, b) => sign * (values[b] - values[a])).slice(0, WORST);
      return element("div", "", element("h3", "", title), element("div", "gallery-row", ...order.map((index) => this.thumbnail(index))));
    }));
  }

  /** @param {number} index */
  thumbnail(index) {
    const canvas = element("canvas", "");
    paint(canvas, this.pixels, this.image, index);
    const button = element("button", "", canvas);
    button.type = "button";
    button.title = this.describe(index);
    button.setAttribute("aria-label", this.describe(index));
    button.addEventListener("click", () => this.take(index));
    return button;
  }
}

/** @param {BundleInfo} info @param {DataTable} table @returns {Axis[]} */
function axesOf(info, table) {
  const axes = table.styles.map((values, code) => {
    const reach = reachOf(info, code);
    return { name: styleName(info, code), values, low: -reach, high: reach, style: true };
  });
  /** @param {string} name @param {number[]} values */
  const add = (name, values) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    axes.push({ name, values, low, high: high > low ? high : low + 1, style: false });
  };
  if (table.categories.length) add("confidence", table.confidence);
  if (table.distance) add("OOD score", table.distance);
  add("difference from the reconstruction", table.error);
  return axes;
}

/** @param {Axis} axis @param {number} value */
const share = ({ low, high }, value) => Math.max(0, Math.min(1, (value - low) / (high - low)));

/** A colour for each category; neighbours differ most.
 * @param {number} category */
const colour = (category) => `hsl(${(category * TURN + 250) % 360} 75% ${category % 2 ? 62 : 70}%)`;
