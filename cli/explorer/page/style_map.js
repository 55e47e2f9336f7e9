/** The style map: two styles as a plane, with the images generated there behind it. */

import { REACH, hue, position } from "./controls.js";
import { element } from "./dom.js";
import { paintGrid } from "./images.js";
import { signed, styleName } from "./names.js";
import { followPointer, placeOn } from "./pointer.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Posterior} Posterior */

/** Images along each side. */
const SIDE = 9;
const KEY_STEP = 0.05;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

export class StyleMap {
  /** @param {BundleInfo} info @param {Record<string, HTMLElement>} parts
   * @param {(values: [number, number][]) => void} onTurn pairs of code and value; none where the axes changed */
  constructor(info, parts, onTurn) {
    this.info = info;
    this.parts = parts;
    this.onTurn = onTurn;
    this.axes = [0, 1];
    this.values = [0, 0];
    parts.square.addEventListener("pointerdown", (event) => this.drag(event));
    parts.handle.addEventListener("keydown", (event) => this.key(event));
    if (info.codes.continuous.length > 2) this.addAxisMenus();
    this.nameAxes();
  }

  /** Styles of the images behind the map, row by row from the top.
   * @param {number[]} styles @returns {number[][]} */
  grid(styles) {
    return Array.from({ length: SIDE * SIDE }, (_, i) => {
      const [x, y] = [i % SIDE, Math.floor(i / SIDE)];
      const here = [...styles];
      here[this.axes[0]] = -REACH + ((x + 0.5) / SIDE) * 2 * REACH;
      here[this.axes[1]] = REACH - ((y + 0.5) / SIDE) * 2 * REACH;
      return here;
    });
  }

  /** @param {Uint8Array} pixels */
  paint(pixels) {
    const which = [...Array(SIDE * SIDE).keys()];
    paintGrid(/** @type {HTMLCanvasElement} */ (this.parts.map), pixels, this.info.metadata.image, which, SIDE);
  }

  /** @param {number[]} styles @param {Posterior | null} posterior */
  show(styles, posterior) {
    const { handle, reach } = this.parts;
    this.values = this.axes.map((axis) => styles[axis]);
    moveTo(handle, this.values);
    const text = this.axes.map((axis, i) => `${styleName(this.info, axis)} ${signed(this.values[i])}`).join(", ");
    handle.setAttribute("aria-valuenow", this.values[0].toFixed(2));
    handle.setAttribute("aria-valuetext", text);
    reach.hidden = !posterior;
    if (!posterior) return;
    moveTo(reach, this.axes.map((axis) => posterior.mean[axis]));
    // Two standard deviations to each side.
    ["--wide", "--high"].forEach((side, i) => {
      reach.style.setProperty(side, String((posterior.std[this.axes[i]] / REACH) * 2));
    });
  }

  nameAxes() {
    ["axis-x", "axis-y"].forEach((part, i) => {
      this.parts[part].textContent = styleName(this.info, this.axes[i]);
      this.parts[part].className = `axis ${part} ${hue(this.axes[i])}`;
    });
  }

  addAxisMenus() {
    this.parts.axes.hidden = false;
    const menus = this.axes.map((axis, i) => {
      const menu = element("select", "");
      this.info.codes.continuous.forEach((_, code) => menu.add(new Option(styleName(this.info, code), String(code))));
      menu.value = String(axis);
      menu.addEventListener("change", () => {
        const chosen = Number(menu.value);
        if (chosen === this.axes[1 - i]) this.axes[1 - i] = this.axes[i];
        this.axes[i] = chosen;
        menus.forEach((one, place) => (one.value = String(this.axes[place])));
        this.nameAxes();
        this.onTurn([]);
      });
      return menu;
    });
    this.parts.axes.append(element("label", "", "across ", menus[0]), element("label", "", "up ", menus[1]));
  }

  /** @param {PointerEvent} down */
  drag(down) {
    if (down.button !== 0) return;
    down.preventDefault();
    const { square, handle } = this.parts;
    handle.focus({ preventScroll: true });
    /** @param {PointerEvent} event */
    const move = (event) => {
      const [x, y] = placeOn(square, event);
      this.turn((x * 2 - 1) * REACH, (1 - y * 2) * REACH);
    };
    move(down);
    followPointer(square, down, move);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const step = STEPS[/** @type {keyof typeof STEPS} */ (event.key)];
    if (!step) return;
    event.preventDefault();
    const size = event.shiftKey ? 4 * KEY_STEP : KEY_STEP;
    this.turn(this.values[0] + size * step[0], this.values[1] + size * step[1]);
  }

  /** @param {number} across @param {number} up */
  turn(across, up) {
    const within = [across, up].map((value) => Math.max(-REACH, Math.min(REACH, value)));
    this.onTurn([
      [this.axes[0], within[0]],
      [this.axes[1], within[1]],
    ]);
  }
}

/** @param {HTMLElement} element @param {number[]} values across and up */
function moveTo(element, [across, up]) {
  element.style.setProperty("--x", String(position(across)));
  element.style.setProperty("--y", String(1 - position(up)));
}
