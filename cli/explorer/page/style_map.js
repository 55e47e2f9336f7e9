/** The style map: two styles as a plane, with the images generated there behind it. */

import { hue, isPeriodic, position, reachOf } from "./controls.js";
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
      this.valuesAt((x + 0.5) / SIDE, (y + 0.5) / SIDE).forEach((value, axis) => (here[this.axes[axis]] = value));
      return here;
    });
  }

  /** Values across and up at a place, 0 to 1 from the top left.
   * @param {number} x @param {number} y */
  valuesAt(x, y) {
    return [x * 2 - 1, 1 - y * 2].map((value, i) => value * reachOf(this.info, this.axes[i]));
  }

  /** @param {HTMLElement} element @param {number[]} values across and up */
  moveTo(element, values) {
    const [x, y] = this.axes.map((axis, i) => position(this.info, axis, values[i]));
    element.style.setProperty("--x", String(x));
    element.style.setProperty("--y", String(1 - y));
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
    this.moveTo(handle, this.values);
    const text = this.axes.map((axis, i) => `${styleName(this.info, axis)} ${signed(this.values[i])}`).join(", ");
    handle.setAttribute("aria-valuenow", this.values[0].toFixed(2));
    handle.setAttribute("aria-valuetext", text);
    reach.hidden = !posterior;
    if (!posterior) return;
    this.moveTo(reach, this.axes.map((axis) => posterior.mean[axis]));
    // Two standard deviations to each side.
    ["--wide", "--high"].forEach((side, i) => {
      reach.style.setProperty(side, String((posterior.std[this.axes[i]] / reachOf(this.info, this.axes[i])) * 2));
    });
  }

  nameAxes() {
    ["axis-x", "axis-y"].forEach((part, i) => {
      this.parts[part].textContent = styleName(this.info, this.axes[i]);
      this.parts[part].className = `axis ${part} ${hue(this.axes[i])}`;
      // What lies outside of the frame was not trained; a periodic code has no outside.
      const inset = isPeriodic(this.info, this.axes[i]) ? "0" : "25%";
      this.parts.trained.style.setProperty(["--inset-x", "--inset-y"][i], inset);
    });
    this.parts.handle.setAttribute("aria-valuemin", String(-reachOf(this.info, this.axes[0])));
    this.parts.handle.setAttribute("aria-valuemax", String(reachOf(this.info, this.axes[0])));
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
      this.turn(this.valuesAt(...placeOn(square, event)));
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
    this.turn(this.values.map((value, i) => value + size * step[i]));
  }

  /** @param {number[]} values across and up */
  turn(values) {
    this.onTurn(this.axes.map((axis, i) => {
      const reach = reachOf(this.info, axis);
      return [axis, Math.max(-reach, Math.min(reach, values[i]))];
    }));
  }
}
