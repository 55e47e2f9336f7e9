/** The interpolation between two codes: its steps, its player, its files. */

import { isPeriodic } from "./controls.js";
import { makeGif } from "./gif.js";
import { imageBytes, paint, paintGrid, save, saveJson, sheetPng } from "./images.js";
import { latest } from "./latest.js";

/** @typedef {import("./types.js").Codes} Codes */
/** @typedef {import("./bundle_view.js").BundleView} BundleView */

const STEPS = 48;
const STEP_MS = 40;
/** Steps that the strip shows. */
const STRIP = Array.from({ length: 13 }, (_, i) => i * 4);

export class Interpolation {
  /** @param {BundleView} view @param {Record<string, HTMLElement>} parts @param {Codes} from @param {Codes} to */
  constructor(view, parts, from, to) {
    this.view = view;
    this.image = view.info.metadata.image;
    this.parts = parts;
    this.from = from;
    this.to = to;
    /** Request of the next frame while playing, or 0. */
    this.playing = 0;
    /** Images of the STEPS + 1 steps, uint8.
     * @type {Uint8Array | null} */
    this.pixels = null;
    this.shown = -1;
    this.place = /** @type {HTMLInputElement} */ (parts.place);
    /** Generate the steps between the ends as they are now. */
    this.generate = latest(() => view.guarded("interpolation", () => this.generateSteps()));
    this.place.addEventListener("input", () => {
      this.stop();
      this.show();
    });
    parts.play.addEventListener("click", () => (this.playing ? this.stop() : this.start()));
    parts["set-from"].addEventListener("click", () => this.set("from", view.codes));
    parts["set-to"].addEventListener("click", () => this.set("to", view.codes));
    parts["save-gif"].addEventListener("click", () => this.saveGif());
    parts["save-strip"].addEventListener("click", () => this.saveStrip());
    parts["save-steps"].addEventListener("click", () => this.saveCodes());
  }

  /** @param {"from" | "to"} end @param {Codes} codes */
  set(end, codes) {
    this[end] = structuredClone(codes);
    this.place.value = end === "from" ? "0" : "1";
    this.view.page.onState();
    return this.generate();
  }

  /** Codes at a place from 0 to 1; the category is that of the nearer end. A periodic style goes the short way round.
   * @param {number} t @returns {Codes} */
  codesAt(t) {
    const near = t < 0.5 ? this.from : this.to;
    const styles = this.from.styles.map((value, i) => {
      const way = this.to.styles[i] - value;
      if (!isPeriodic(this.view.info, i)) return value + way * t;
      return nearestToZero(value + nearestToZero(way) * t);
    });
    return { categories: near.categories, styles, noise: near.noise };
  }

  async generateSteps() {
    const [from, to] = [this.from, this.to].map((end) => this.view.noiseVector(end.noise));
    const rows = Array.from({ length: STEPS + 1 }, (_, i) => ({
      codes: this.codesAt(i / STEPS),
      noise: from.map((value, k) => value + ((to[k] - value) * i) / STEPS),
    }));
    this.pixels = await this.view.generateRows(rows);
    paint(this.canvas("from"), this.pixels, this.image, 0);
    paint(this.canvas("to"), this.pixels, this.image, STEPS);
    paintGrid(this.canvas("strip"), this.pixels, this.image, STRIP, STRIP.length, 1);
    this.shown = -1;
    this.show();
  }

  show() {
    const step = Math.round(Number(this.place.value) * STEPS);
    this.place.setAttribute("aria-valuetext", `step ${step} of ${STEPS}`);
    if (!this.pixels || step === this.shown) return;
    this.shown = step;
    paint(this.canvas("step"), this.pixels, this.image, step);
  }

  start() {
    const at = Number(this.place.value) % 1;
    const began = performance.now() - at * STEPS * STEP_MS;
    this.parts.play.textContent = "Pause";
    /** @param {number} now */
    const tick = (now) => {
      const turn = ((now - began) / (STEPS * STEP_MS)) % 2;
      this.place.value = String(turn < 1 ? turn : 2 - turn);
      this.show();
      this.playing = requestAnimationFrame(tick);
    };
    this.playing = requestAnimationFrame(tick);
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.parts.play.textContent = "Play";
  }

  saveGif() {
    const { pixels, image } = this;
    if (!pixels) return;
    const size = imageBytes(image);
    const forth = Array.from({ length: STEPS + 1 }, (_, i) => pixels.subarray(i * size, (i + 1) * size));
    const frames = [...forth, ...forth.slice(1, -1).reverse()];
    const scale = Math.max(1, Math.round(224 / image.size));
    save(this.view.fileName("interpolation.gif"), makeGif(frames, image, { scale, delayMs: STEP_MS }));
  }

  async saveStrip() {
    if (!this.pixels) return;
    save(this.view.fileName("interpolation.png"), await sheetPng(this.pixels, this.image, STRIP, STRIP.length));
  }

  saveCodes() {
    const steps = Array.from({ length: STEPS + 1 }, (_, i) => this.view.named(this.codesAt(i / STEPS)));
    saveJson(this.view.fileName("interpolation.json"), {
      ...this.view.origin(),
      from: this.view.named(this.from),
      to: this.view.named(this.to),
      noise: "linear, from the start's noise to the end's",
      steps: steps.map(({ categories, styles }) => ({ categories, styles })),
    });
  }

  /** @param {string} part */
  canvas(part) {
    return /** @type {HTMLCanvasElement} */ (this.parts[part]);
  }
}

/** A value of a periodic code, moved by whole periods of 2 to within -1 and 1.
 * @param {number} value */
const nearestToZero = (value) => value - 2 * Math.round(value / 2);
