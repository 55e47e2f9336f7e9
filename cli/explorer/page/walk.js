/** The walk between two pictures' codes: its steps, its player, its files. */

import { makeGif } from "./gif.js";
import { paint, paintGrid, pictureBytes, save, saveJson, sheetPng } from "./pictures.js";

/** @typedef {import("./types.js").Codes} Codes */
/** @typedef {import("./lab.js").Lab} Lab */

const STEPS = 48;
const STEP_MS = 40;
const STRIP = 13;

export class Walk {
  /** @param {Lab} lab @param {Record<string, HTMLElement>} parts @param {Codes} from @param {Codes} to */
  constructor(lab, parts, from, to) {
    this.lab = lab;
    this.parts = parts;
    this.from = from;
    this.to = to;
    this.playing = 0;
    /** uint8 of every step; the first STEPS + 1 pictures go there, and coming back is the same in reverse.
     * @type {Uint8Array | null} */
    this.pixels = null;
    this.shown = -1;
    const place = /** @type {HTMLInputElement} */ (parts.place);
    this.place = place;
    place.addEventListener("input", () => {
      this.stop();
      this.show();
    });
    parts.play.addEventListener("click", () => (this.playing ? this.stop() : this.start()));
    parts["set-from"].addEventListener("click", () => this.set("from", lab.codes));
    parts["set-to"].addEventListener("click", () => this.set("to", lab.codes));
    parts["save-gif"].addEventListener("click", () => this.saveGif());
    parts["save-strip"].addEventListener("click", () => this.saveStrip());
    parts["save-walk"].addEventListener("click", () => this.saveCodes());
  }

  /** @param {"from" | "to"} end @param {Codes} codes */
  set(end, codes) {
    this[end] = structuredClone(codes);
    this.place.value = end === "from" ? "0" : "1";
    this.lab.onState();
    return this.draw();
  }

  /** Codes at a place from 0 to 1; the noise is that of the nearer end, see noiseAt.
   * @param {number} t @returns {Codes} */
  codesAt(t) {
    const near = t < 0.5 ? this.from : this.to;
    const styles = this.from.styles.map((value, i) => value + (this.to.styles[i] - value) * t);
    return { categories: near.categories, styles, noise: near.noise };
  }

  /** @param {number} t */
  noiseAt(t) {
    const [from, to] = [this.lab.noiseVector(this.from.noise), this.lab.noiseVector(this.to.noise)];
    return from.map((value, i) => value + (to[i] - value) * t);
  }

  async draw() {
    const rows = [];
    for (let i = 0; i <= STEPS; i++) {
      rows.push({ codes: this.codesAt(i / STEPS), noise: this.noiseAt(i / STEPS) });
    }
    this.pixels = await this.lab.drawRows(rows);
    const { image } = this.lab.info.metadata;
    paint(this.canvas("from"), this.pixels, image, 0);
    paint(this.canvas("to"), this.pixels, image, STEPS);
    paintGrid(this.canvas("strip"), this.pixels, image, this.stripSteps(), STRIP, 1);
    this.shown = -1;
    this.show();
  }

  show() {
    const step = Math.round(Number(this.place.value) * STEPS);
    this.place.setAttribute("aria-valuetext", `step ${step} of ${STEPS}`);
    if (!this.pixels || step === this.shown) return;
    this.shown = step;
    paint(this.canvas("step"), this.pixels, this.lab.info.metadata.image, step);
  }

  start() {
    const began = performance.now() - this.startOffset();
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

  startOffset() {
    const at = Number(this.place.value);
    return (at === 1 ? 0 : at) * STEPS * STEP_MS;
  }

  stop() {
    cancelAnimationFrame(this.playing);
    this.playing = 0;
    this.parts.play.textContent = "Play";
  }

  saveGif() {
    const { image } = this.lab.info.metadata;
    if (!this.pixels) return;
    const size = pictureBytes(image);
    const there = [...Array(STEPS + 1).keys()];
    const order = [...there, ...there.slice(1, -1).reverse()];
    const frames = order.map((i) => /** @type {Uint8Array} */ (this.pixels).subarray(i * size, (i + 1) * size));
    const scale = Math.max(1, Math.round(224 / image.size));
    save(this.lab.fileName("walk.gif"), makeGif(frames, image, { scale, delayMs: STEP_MS }));
  }

  async saveStrip() {
    if (!this.pixels) return;
    const { image } = this.lab.info.metadata;
    save(this.lab.fileName("walk.png"), await sheetPng(this.pixels, image, this.stripSteps(), STRIP));
  }

  saveCodes() {
    const steps = [...Array(STEPS + 1).keys()].map((i) => this.lab.named(this.codesAt(i / STEPS)));
    saveJson(this.lab.fileName("walk.json"), {
      ...this.lab.origin(),
      from: this.lab.named(this.from),
      to: this.lab.named(this.to),
      noise: "from the start's to the end's in a straight line",
      steps: steps.map(({ categories, styles }) => ({ categories, styles })),
    });
  }

  stripSteps() {
    return [...Array(STRIP).keys()].map((i) => Math.round((i * STEPS) / (STRIP - 1)));
  }

  /** @param {string} part */
  canvas(part) {
    return /** @type {HTMLCanvasElement} */ (this.parts[part]);
  }
}
