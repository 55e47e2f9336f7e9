/** The map: two styles as a plane, with the pictures that are drawn there behind it. */

import { REACH, hue, share, signed, styleName } from "./codes.js";
import { paintGrid } from "./pictures.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Reading} Reading */

/** Pictures along each side. */
const SIDE = 9;
const KEY_STEP = 0.05;

export class Pad {
  /** @param {BundleInfo} info @param {Record<string, HTMLElement>} parts
   * @param {(values: [number, number][]) => void} onTurn pairs of code and value */
  constructor(info, parts, onTurn) {
    this.info = info;
    this.parts = parts;
    this.onTurn = onTurn;
    this.axes = [0, 1];
    this.values = [0, 0];
    const { square, handle } = parts;
    square.addEventListener("pointerdown", (event) => this.drag(event));
    handle.addEventListener("keydown", (event) => this.key(event));
    if (info.codes.continuous.length > 2) this.addChoices();
    this.name();
  }

  /** Styles of the pictures behind the map, row by row from the top.
   * @param {number[]} styles @returns {number[][]} */
  places(styles) {
    const found = [];
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const here = [...styles];
        here[this.axes[0]] = -REACH + ((x + 0.5) / SIDE) * 2 * REACH;
        here[this.axes[1]] = REACH - ((y + 0.5) / SIDE) * 2 * REACH;
        found.push(here);
      }
    }
    return found;
  }

  /** @param {Uint8Array} pixels */
  paint(pixels) {
    const which = [...Array(SIDE * SIDE).keys()];
    paintGrid(/** @type {HTMLCanvasElement} */ (this.parts.map), pixels, this.info.metadata.image, which, SIDE);
  }

  /** @param {number[]} styles @param {Reading | null} reading */
  show(styles, reading) {
    const { handle, reach } = this.parts;
    this.values = this.axes.map((axis) => styles[axis]);
    place(handle, this.values[0], this.values[1]);
    const text = this.axes.map((axis, i) => `${styleName(this.info, axis)} ${signed(this.values[i])}`).join(", ");
    handle.setAttribute("aria-valuenow", this.values[0].toFixed(2));
    handle.setAttribute("aria-valuetext", text);
    reach.hidden = !reading;
    if (!reading) return;
    const [mean, std] = [this.axes.map((a) => reading.mean[a]), this.axes.map((a) => reading.std[a])];
    place(reach, mean[0], mean[1]);
    // Two standard deviations to each side.
    reach.style.setProperty("--wide", String(std[0] / REACH * 2));
    reach.style.setProperty("--high", String(std[1] / REACH * 2));
  }

  name() {
    for (const [part, axis] of /** @type {[string, number][]} */ ([["axis-x", 0], ["axis-y", 1]])) {
      this.parts[part].textContent = styleName(this.info, this.axes[axis]);
      this.parts[part].className = `axis ${part} ${hue(this.axes[axis])}`;
    }
  }

  addChoices() {
    const { axes } = this.parts;
    axes.hidden = false;
    this.axes.forEach((_, i) => {
      const label = document.createElement("label");
      const select = document.createElement("select");
      this.info.codes.continuous.forEach((_code, code) => {
        select.add(new Option(styleName(this.info, code), String(code), false, code === this.axes[i]));
      });
      select.addEventListener("change", () => {
        const other = this.axes[1 - i];
        const chosen = Number(select.value);
        if (chosen === other) this.axes[1 - i] = this.axes[i];
        this.axes[i] = chosen;
        axes.querySelectorAll("select").forEach((one, place) => (one.value = String(this.axes[place])));
        this.name();
        this.onTurn([]);
      });
      label.append(i ? "up " : "across ", select);
      axes.append(label);
    });
  }

  /** @param {PointerEvent} down */
  drag(down) {
    if (down.button !== 0) return;
    down.preventDefault();
    const { square, handle } = this.parts;
    handle.focus({ preventScroll: true });
    square.setPointerCapture(down.pointerId);
    /** @param {PointerEvent} event */
    const move = (event) => {
      const box = square.getBoundingClientRect();
      const x = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
      const y = Math.max(0, Math.min(1, (event.clientY - box.top) / box.height));
      this.turn((x * 2 - 1) * REACH, (1 - y * 2) * REACH);
    };
    const end = () => {
      square.removeEventListener("pointermove", move);
      square.removeEventListener("pointerup", end);
      square.removeEventListener("pointercancel", end);
    };
    move(down);
    square.addEventListener("pointermove", move);
    square.addEventListener("pointerup", end);
    square.addEventListener("pointercancel", end);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (!step) return;
    event.preventDefault();
    const size = event.shiftKey ? 4 * KEY_STEP : KEY_STEP;
    this.turn(this.values[0] + size * step[0], this.values[1] + size * step[1]);
  }

  /** @param {number} across @param {number} up */
  turn(across, up) {
    const within = [across, up].map((value) => Math.max(-REACH, Math.min(REACH, value)));
    this.onTurn([[this.axes[0], within[0]], [this.axes[1], within[1]]]);
  }
}

/** @param {HTMLElement} element @param {number} across @param {number} up */
function place(element, across, up) {
  element.style.setProperty("--x", String(share(across)));
  element.style.setProperty("--y", String(1 - share(up)));
}
