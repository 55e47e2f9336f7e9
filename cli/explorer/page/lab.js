/** One bundle on the page: what it reads, its codes, and what it draws. */

import { REACH, categoryGroup, categoryName, inOrder, styleName, styleSlider, verdict } from "./codes.js";
import { Pad } from "./pad.js";
import { paint, pictureBytes, save, saveJson, sheetPng } from "./pictures.js";
import { Walk } from "./walk.js";

/** @typedef {import("./types.js").Backend} Backend */
/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Codes} Codes */
/** @typedef {import("./types.js").Picture} Picture */
/** @typedef {import("./types.js").Reading} Reading */
/** @typedef {{
 *   backend: Backend, noiseSeed: number, noises: Float32Array,
 *   onState: () => void, onTurned: (lab: Lab) => void, onProblem: (text: string) => void,
 *   onSay: (text: string) => void
 * }} Around */

/** How long the pictures around the picture may lag behind it. */
const AROUND_MS = 100;

/** Run something over and over, but never twice at once: what is asked for meanwhile is done once, at the end.
 * @param {() => Promise<void>} work */
export function latest(work) {
  let running = false;
  let asked = false;
  return async () => {
    asked = true;
    if (running) return;
    running = true;
    try {
      while (asked) {
        asked = false;
        await work();
      }
    } finally {
      running = false;
    }
  };
}

export class Lab {
  /** @param {BundleInfo} info @param {number} index @param {HTMLElement} root @param {Around} around */
  constructor(info, index, root, around) {
    this.info = info;
    this.index = index;
    this.root = root;
    this.around = around;
    /** @type {Record<string, HTMLElement>} */
    this.parts = {};
    for (const part of root.querySelectorAll("[data-part]")) {
      this.parts[/** @type {HTMLElement} */ (part).dataset.part ?? ""] = /** @type {HTMLElement} */ (part);
    }
    /** @type {Reading | null} */
    this.reading = null;
    this.following = true;
    this.codes = this.codesAtRandom(0);
    /** What the page shows, so that turning a slider changes no more of it than it must.
     * @type {{categories: number[] | null, reading: Reading | null}} */
    this.shown = { categories: null, reading: null };
    /** The picture of the codes.
     * @type {Uint8Array | null} */
    this.pixels = null;
    /** The pictures around it, of which the first are the row of all categories.
     * @type {Uint8Array | null} */
    this.surroundings = null;
    this.mapKey = "";
    /** Category of the first code at each place of the row.
     * @type {number[]} */
    this.order = info.codes.categorical.length ? inOrder(info, 0) : [];
    this.refresh = latest(() => this.guarded(() => this.draw()));
    this.refreshAround = latest(() => this.guarded(() => this.drawAround()));
    this.aroundTimer = 0;
    this.buildCodes();
    this.buildPicture();
    const { continuous } = info.codes;
    this.parts["map-panel"].hidden = continuous.length < 2;
    this.pad = continuous.length < 2 ? null : new Pad(info, this.parts, (turned) => this.turnStyles(turned));
    this.walk = new Walk(this, this.parts, this.codes, this.codesAtRandom(Math.min(1, info.noises - 1)));
    this.show();
  }

  // --- building ------------------------------------------------------------------------------------------

  buildCodes() {
    const { categorical, continuous } = this.info.codes;
    this.groups = categorical.map((_, code) => categoryGroup(this.info, code, (i) => this.pick(code, i)));
    this.sliders = continuous.map((_, code) => styleSlider(this.info, code, (v) => this.turnStyles([[code, v]])));
    this.parts.categories.append(...this.groups.map((group) => group.element));
    this.parts.styles.append(...this.sliders.map((slider) => slider.element));
    this.parts.back.addEventListener("click", () => this.follow());
    this.parts["hand-panel"].hidden = !categorical.length;
    this.handCanvases = this.order.map((category) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "hand-one";
      const canvas = document.createElement("canvas");
      const name = document.createElement("span");
      name.textContent = categoryName(this.info, 0, category);
      button.append(canvas, name);
      button.setAttribute("aria-label", `${name.textContent} in this style`);
      button.addEventListener("click", () => this.pick(0, category));
      this.parts.hand.append(button);
      return canvas;
    });
  }

  buildPicture() {
    const { parts, info } = this;
    const noisy = info.metadata.latent.noise > 0;
    parts.caption.textContent = `This network never sees the picture. It is given ${this.givenInWords()}.`;
    parts["new-noise"].hidden = parts["lock-line"].hidden = !noisy;
    parts["new-noise"].addEventListener("click", () => this.newNoise());
    parts.random.addEventListener("click", () => this.random());
    parts["save-png"].addEventListener("click", () => this.savePng());
    parts["save-json"].addEventListener("click", () => {
      saveJson(this.fileName("codes.json"), { ...this.origin(), ...this.named(this.codes) });
    });
    parts["save-hand"].addEventListener("click", async () => {
      if (!this.surroundings) return;
      const which = [...this.order.keys()];
      save(this.fileName("hand.png"), await sheetPng(this.surroundings, info.metadata.image, which, which.length));
    });
  }

  // --- turning -------------------------------------------------------------------------------------------

  /** @param {number} code @param {number} category */
  pick(code, category) {
    const categories = [...this.codes.categories];
    categories[code] = category;
    this.turned({ ...this.codes, categories });
  }

  /** @param {[number, number][]} turned pairs of code and value; none draws the map anew */
  turnStyles(turned) {
    const styles = [...this.codes.styles];
    for (const [code, value] of turned) styles[code] = value;
    if (turned.length) this.turned({ ...this.codes, styles });
    else this.set(this.codes);
  }

  newNoise() {
    if (this.info.noises > 1) this.turned({ ...this.codes, noise: this.otherNoise() }, this.following);
  }

  random() {
    const drawn = this.codesAtRandom(this.locked ? this.codes.noise : this.otherNoise(), Math.random);
    this.turned(drawn);
  }

  /** The person turned the codes, so they no longer are the picture's.
   * @param {Codes} codes @param {boolean} [following] */
  turned(codes, following = false) {
    this.following = following;
    const sameNoise = codes.noise === this.codes.noise;
    const noise = this.locked || !sameNoise || this.info.noises < 2 ? codes.noise : this.otherNoise();
    this.set({ ...codes, noise });
    this.around.onTurned(this);
  }

  /** @param {Codes} codes */
  set(codes) {
    this.codes = codes;
    this.show();
    this.around.onState();
    return this.refresh();
  }

  /** Go back to what was read. */
  follow() {
    this.following = true;
    const { reading } = this;
    if (!reading) return this.set(this.codes);
    const categories = reading.probabilities.map((table) => table.indexOf(Math.max(...table)));
    return this.set({ ...this.codes, categories, styles: [...reading.mean] });
  }

  /** @param {Picture | null} picture */
  async read(picture) {
    await this.guarded(async () => {
      this.reading = picture ? await this.around.backend.read(this.index, picture) : null;
      if (this.reading && this.following) await this.follow();
      else this.show();
      this.around.onState();
    });
  }

  // --- drawing -------------------------------------------------------------------------------------------

  /** Draw the picture of the codes, and a little later what is around it, so that the picture never lags. */
  async draw() {
    const codes = this.codes;
    this.pixels = await this.drawRows([{ codes, noise: this.noiseVector(codes.noise) }]);
    paint(/** @type {HTMLCanvasElement} */ (this.parts.picture), this.pixels, this.info.metadata.image);
    this.root.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
    if (!this.aroundTimer) {
      this.aroundTimer = window.setTimeout(() => {
        this.aroundTimer = 0;
        void this.refreshAround();
      }, AROUND_MS);
    }
  }

  /** Draw the row of all categories, the ends of the sliders, and the map where it changes. */
  async drawAround() {
    const codes = this.codes;
    const plans = this.order.map((category) => ({ ...codes, categories: [category, ...codes.categories.slice(1)] }));
    const ends = plans.length;
    codes.styles.forEach((_, code) => {
      for (const value of [-REACH, REACH]) plans.push({ ...codes, styles: codes.styles.with(code, value) });
    });
    const map = plans.length;
    const key = this.mapKeyOf(codes);
    const anew = this.pad && key !== this.mapKey;
    if (this.pad && anew) {
      for (const styles of this.pad.places(codes.styles)) plans.push({ ...codes, styles });
    }
    if (!plans.length) return;
    const pixels = await this.drawRows(plans.map((plan) => ({ codes: plan, noise: this.noiseVector(plan.noise) })));
    this.surroundings = pixels;
    const { image } = this.info.metadata;
    this.handCanvases?.forEach((canvas, i) => paint(canvas, pixels, image, i));
    this.sliders?.forEach((slider, code) => slider.showEnds(pixels, ends + 2 * code));
    if (this.pad && anew) {
      this.pad.paint(pixels.subarray(map * pictureBytes(image)));
      this.mapKey = key;
    }
  }

  /** What the map depends on: everything but its own two styles.
   * @param {Codes} codes */
  mapKeyOf(codes) {
    const others = codes.styles.map((value, code) => (this.pad?.axes.includes(code) ? 0 : value));
    return JSON.stringify([codes.categories, codes.noise, others, this.pad?.axes]);
  }

  /** @param {{codes: Codes, noise: Float32Array | number[]}[]} rows */
  async drawRows(rows) {
    const latent = this.info.metadata.latent;
    const width = latent.noise + latent.categorical.length + latent.continuous;
    const values = new Float32Array(rows.length * width);
    rows.forEach(({ codes, noise }, i) => {
      values.set([...noise, ...codes.categories, ...codes.styles], i * width);
    });
    const most = this.info.most_pictures;
    if (rows.length <= most) return this.around.backend.draw(this.index, values);
    const bytes = pictureBytes(this.info.metadata.image);
    const pixels = new Uint8Array(rows.length * bytes);
    for (let from = 0; from < rows.length; from += most) {
      const part = values.slice(from * width, (from + most) * width);
      pixels.set(await this.around.backend.draw(this.index, part), from * bytes);
    }
    return pixels;
  }

  /** @param {number} number */
  noiseVector(number) {
    const width = this.info.metadata.latent.noise;
    return this.around.noises.slice(number * width, (number + 1) * width);
  }

  // --- showing -------------------------------------------------------------------------------------------

  show() {
    const { parts, reading, codes } = this;
    this.sliders?.forEach((slider, i) => slider.show(codes.styles[i], reading));
    this.pad?.show(codes.styles, reading);
    parts.follow.hidden = !reading || this.following;
    parts.picture.setAttribute("aria-label", `Generated picture: ${this.spoken()}`);
    if (this.shown.categories !== codes.categories || this.shown.reading !== reading) this.showCategories();
    if (this.shown.reading !== reading) this.showReading();
    this.shown = { categories: codes.categories, reading };
  }

  showCategories() {
    const { reading, codes } = this;
    this.groups?.forEach((group, i) => group.show(codes.categories[i], reading?.probabilities[i] ?? null));
    this.parts.hand.querySelectorAll("button").forEach((button, i) => {
      button.setAttribute("aria-pressed", String(this.order[i] === codes.categories[0]));
    });
  }

  showReading() {
    const { parts, reading, info } = this;
    const told = reading && verdict(info, reading);
    parts.answer.textContent = told ? told.answer : "";
    parts.answer.hidden = !told?.answer;
    parts.answer.classList.toggle("unsure", Boolean(told && !told.sure));
    parts.verdict.textContent = told ? told.text : "Draw something, or turn the codes.";
    parts["seen-figure"].hidden = !reading;
    if (reading) paint(/** @type {HTMLCanvasElement} */ (parts.seen), reading.seen, info.metadata.image);
  }

  givenInWords() {
    const { noise, categorical, continuous } = this.info.metadata.latent;
    const plural = (/** @type {number} */ n, /** @type {string} */ one, /** @type {string} */ many) =>
      n ? [n === 1 ? `one ${one}` : `${n} ${many}`] : [];
    const given = [
      ...plural(categorical.length, "category", "categories"),
      ...plural(continuous, "style number", "style numbers"),
      ...(noise ? ["some noise"] : []),
    ];
    return [given.slice(0, -1).join(", "), given.at(-1)].filter(Boolean).join(" and ");
  }

  /** The codes in words. */
  spoken() {
    const what = this.codes.categories.map((index, code) => categoryName(this.info, code, index));
    const how = this.codes.styles.map((value, code) => `${styleName(this.info, code)} ${value.toFixed(2)}`);
    return [...what, ...how].join(", ");
  }

  // --- files ---------------------------------------------------------------------------------------------

  async savePng() {
    if (this.pixels) save(this.fileName("picture.png"), await sheetPng(this.pixels, this.info.metadata.image, [0], 1));
  }

  /** @param {string} what */
  fileName(what) {
    return `infogan-${this.info.name.replaceAll(/[^\w.-]+/g, "_")}-${what}`;
  }

  origin() {
    return { bundle: this.info.metadata.bundle_id, seed: this.around.noiseSeed };
  }

  /** Codes as `infogan-tool encode --json` names them.
   * @param {Codes} codes */
  named(codes) {
    const { categorical, continuous } = this.info.codes;
    const { labels, style_names: names } = this.info.metadata;
    return {
      image: codes.noise,
      categories: categorical.map((code, i) => ({
        code,
        index: codes.categories[i],
        label: labels[code]?.[codes.categories[i]] ?? null,
      })),
      styles: continuous.map((code, i) => ({ code, name: names[code] ?? null, value: codes.styles[i] })),
    };
  }

  // --- small things --------------------------------------------------------------------------------------

  get locked() {
    return /** @type {HTMLInputElement} */ (this.parts.lock).checked;
  }

  otherNoise() {
    const step = 1 + Math.floor(Math.random() * (this.info.noises - 1));
    return (this.codes.noise + step) % this.info.noises;
  }

  onState() {
    this.around.onState();
  }

  /** Codes from the prior; without a source of chance a fixed pleasant choice.
   * @param {number} noise @param {(() => number) | null} [chance] @returns {Codes} */
  codesAtRandom(noise, chance = null) {
    const { categorical, continuous } = this.info.metadata.latent;
    const fixed = (/** @type {number} */ code) => ((noise * 2 + code) % 4 < 2 ? -0.4 : 0.8);
    return {
      categories: categorical.map((size, code) =>
        chance ? Math.floor(chance() * size) : inOrder(this.info, code)[(3 + 2 * noise) % size],
      ),
      styles: Array.from({ length: continuous }, (_, code) => (chance ? 2 * chance() - 1 : fixed(code))),
      noise,
    };
  }

  /** @param {() => Promise<void>} work */
  async guarded(work) {
    try {
      await work();
      this.around.onProblem("");
    } catch (error) {
      this.around.onProblem(error instanceof Error ? error.message : String(error));
    }
  }
}
