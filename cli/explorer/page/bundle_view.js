/** One bundle on the page: the posterior of the image, the codes that are set, and what is generated from them. */

import { categoryGroup, reachOf, styleSlider } from "./controls.js";
import { element } from "./dom.js";
import { imageBytes, paint, save, saveJson, sheetPng } from "./images.js";
import { Interpolation } from "./interpolation.js";
import { latest, throttled } from "./latest.js";
import { byLabel, categoryName, codesInWords, inOrder, prediction } from "./names.js";
import { showReconstruction } from "./reconstruction.js";
import { StyleMap } from "./style_map.js";

/** @typedef {import("./types.js").Backend} Backend */
/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Codes} Codes */
/** @typedef {import("./types.js").InputImage} InputImage */
/** @typedef {import("./types.js").Posterior} Posterior */
/** What a view needs of the page.
 * @typedef {{
 *   backend: Backend, noiseSeed: number | null, noises: Float32Array,
 *   onState: () => void, onEdited: (view: BundleView) => void, onName: (view: BundleView) => void,
 *   onProblem: () => void
 * }} Page */

/** How long the images around the generated image may lag behind it. */
const VARIATIONS_MS = 100;

export class BundleView {
  /** @param {BundleInfo} info @param {number} index @param {HTMLElement} root @param {Page} page */
  constructor(info, index, root, page) {
    this.info = info;
    this.image = info.metadata.image;
    this.index = index;
    this.root = root;
    this.page = page;
    /** @type {Record<string, HTMLElement>} */
    this.parts = {};
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-part]"))) {
      this.parts[part.dataset.part ?? ""] = part;
    }
    /** @type {Posterior | null} */
    this.posterior = null;
    /** Whether the codes are those of the image, not edited. */
    this.following = true;
    this.codes = this.defaultCodes(0);
    /** What the page shows, so that only what changed is updated.
     * @type {{categories: number[] | null, posterior: Posterior | null}} */
    this.shown = { categories: null, posterior: null };
    /** The generated image.
     * @type {Uint8Array | null} */
    this.pixels = null;
    /** Its variations, of which the first are all categories in this style.
     * @type {Uint8Array | null} */
    this.variations = null;
    /** Codes that the images of the style map were generated for. */
    this.mapKey = "";
    /** Categories of the first code in the order of their names. */
    this.order = info.codes.categorical.length ? inOrder(info, 0) : [];
    /** Problems by the work that has them; "" for none.
     * @type {Record<string, string>} */
    this.problems = {};
    this.refresh = latest(() => this.guarded("generate", () => this.generate()));
    const refreshVariations = latest(() => this.guarded("variations", () => this.generateVariations()));
    this.refreshVariations = throttled(refreshVariations, VARIATIONS_MS);
    const { categorical, continuous } = info.codes;
    this.groups = categorical.map((_, code) => categoryGroup(info, code, (i) => this.pick(code, i)));
    this.sliders = continuous.map((_, code) => styleSlider(info, code, (v) => this.turnStyles([[code, v]])));
    this.categoryCanvases = this.order.map((category) => this.addCategoryImage(category));
    this.build();
    const mapped = continuous.length > 1;
    this.parts["map-panel"].hidden = !mapped;
    this.map = mapped ? new StyleMap(info, this.parts, (turned) => this.turnStyles(turned)) : null;
    const end = this.defaultCodes(Math.min(1, info.noise_count - 1));
    this.interpolation = new Interpolation(this, this.parts, this.codes, end);
    this.show();
  }

  // --- building ------------------------------------------------------------------------------------------

  build() {
    const { parts, info } = this;
    parts.categories.append(...this.groups.map((group) => group.element));
    parts.styles.append(...this.sliders.map((slider) => slider.element));
    parts["category-panel"].hidden = !this.order.length;
    const { noise, categorical, continuous } = info.metadata.latent;
    const counts = [
      categorical.length && `${categorical.length} categorical code${categorical.length > 1 ? "s" : ""}`,
      continuous && `${continuous} continuous code${continuous > 1 ? "s" : ""}`,
      noise && `${noise} noise values`,
    ].filter(Boolean);
    parts.caption.textContent = `Generator input: ${counts.join(", ")}. The image itself is not an input.`;
    parts["new-noise"].hidden = parts["lock-line"].hidden = !noise;
    const named = [categorical.length && "categories", continuous && "styles"].filter(Boolean);
    parts.naming.hidden = !info.nameable || !named.length;
    parts["name-codes"].textContent = `Name ${named.join(" and ")}`;
    if (!continuous) {
      parts["category-title"].textContent = "All categories";
      parts["category-text"].textContent = "The same noise with every category. Select one to set its category.";
    }
    parts["name-codes"].addEventListener("click", () => this.page.onName(this));
    parts.back.addEventListener("click", () => this.follow());
    parts["new-noise"].addEventListener("click", () => this.newNoise());
    parts.random.addEventListener("click", () => this.randomCodes());
    parts["save-png"].addEventListener("click", async () => {
      if (this.pixels) save(this.fileName("image.png"), await sheetPng(this.pixels, this.image, [0], 1));
    });
    parts["save-json"].addEventListener("click", () => {
      saveJson(this.fileName("codes.json"), { ...this.origin(), ...this.named(this.codes) });
    });
    parts["save-row"].addEventListener("click", async () => {
      if (!this.variations) return;
      const which = [...this.order.keys()];
      save(this.fileName("categories.png"), await sheetPng(this.variations, this.image, which, which.length));
    });
  }

  /** @param {number} category */
  addCategoryImage(category) {
    const canvas = element("canvas", "");
    const name = categoryName(this.info, 0, category);
    const button = element("button", "category-image", canvas, element("span", "", name));
    button.type = "button";
    button.setAttribute("aria-label", `${name} in this style`);
    button.addEventListener("click", () => this.pick(0, category));
    this.parts.row.append(button);
    return canvas;
  }

  // --- codes ---------------------------------------------------------------------------------------------

  /** @param {number} code @param {number} category */
  pick(code, category) {
    this.edit({ ...this.codes, categories: this.codes.categories.with(code, category) });
  }

  /** @param {[number, number][]} turned pairs of code and value; none where the map's axes changed */
  turnStyles(turned) {
    const styles = [...this.codes.styles];
    for (const [code, value] of turned) styles[code] = value;
    if (turned.length) this.edit({ ...this.codes, styles });
    else this.set(this.codes);
  }

  newNoise() {
    if (this.info.noise_count > 1) this.edit({ ...this.codes, noise: this.otherNoise() }, this.following);
  }

  randomCodes() {
    const { categorical, continuous } = this.info.metadata.latent;
    this.edit({
      categories: categorical.map((size) => Math.floor(Math.random() * size)),
      styles: Array.from({ length: continuous }, () => 2 * Math.random() - 1),
      noise: this.locked ? this.codes.noise : this.otherNoise(),
    });
  }

  /** Set codes that the person chose.
   * @param {Codes} codes @param {boolean} [following] whether they still are those of the image */
  edit(codes, following = false) {
    this.following = following;
    const keep = this.locked || codes.noise !== this.codes.noise || this.info.noise_count < 2;
    this.set({ ...codes, noise: keep ? codes.noise : this.otherNoise() });
    this.page.onEdited(this);
  }

  /** @param {Codes} codes */
  set(codes) {
    this.codes = codes;
    this.show();
    this.page.onState();
    return this.refresh();
  }

  /** Set the codes of the image: the categories that the runtime chooses, and the mean styles. */
  follow() {
    this.following = true;
    const { posterior } = this;
    if (!posterior) return this.set(this.codes);
    const categories = posterior.probabilities.map((table, code) => byLabel(this.info, code, table)[0].index);
    return this.set({ ...this.codes, categories, styles: [...posterior.mean] });
  }

  /** @param {InputImage | null} image */
  async encode(image) {
    await this.guarded("encode", async () => {
      /** @type {Posterior | null} */
      let posterior = null;
      try {
        if (image) posterior = await this.page.backend.encode(this.index, image);
      } finally {
        this.posterior = posterior; // none if the image could not be encoded, rather than that of another image
        if (posterior && this.following) await this.follow();
        else this.show();
        this.page.onState();
      }
    });
  }

  /** Codes that the page starts with; they depend on the number of the noise alone.
   * @param {number} noise @returns {Codes} */
  defaultCodes(noise) {
    const { categorical, continuous } = this.info.metadata.latent;
    return {
      categories: categorical.map((size, code) => inOrder(this.info, code)[(3 + 2 * noise) % size]),
      styles: Array.from({ length: continuous }, (_, code) => ((noise * 2 + code) % 4 < 2 ? -0.4 : 0.8)),
      noise,
    };
  }

  get locked() {
    return /** @type {HTMLInputElement} */ (this.parts.lock).checked;
  }

  otherNoise() {
    const step = 1 + Math.floor(Math.random() * (this.info.noise_count - 1));
    return (this.codes.noise + step) % this.info.noise_count;
  }

  // --- generating ----------------------------------------------------------------------------------------

  /** Generate the image of the codes; its variations follow a little later, so that it never lags. */
  async generate() {
    this.pixels = await this.generateRows([{ codes: this.codes }]);
    paint(/** @type {HTMLCanvasElement} */ (this.parts.image), this.pixels, this.image);
    const { parts, posterior } = this;
    parts.again.hidden = !(posterior && this.following);
    if (posterior && this.following) showReconstruction(parts, posterior.preprocessed, this.pixels, this.image);
    this.root.dispatchEvent(new CustomEvent("generated", { bubbles: true }));
    this.refreshVariations();
  }

  /** Generate all categories in this style, the ends of the sliders, and the style map where it changes. */
  async generateVariations() {
    const { codes, map } = this;
    const rows = this.order.map((category) => ({ ...codes, categories: codes.categories.with(0, category) }));
    const ends = rows.length;
    codes.styles.forEach((_, code) => {
      const reach = reachOf(this.info, code);
      for (const value of [-reach, reach]) rows.push({ ...codes, styles: codes.styles.with(code, value) });
    });
    const first = rows.length;
    const others = codes.styles.map((value, code) => (map?.axes.includes(code) ? 0 : value));
    const key = JSON.stringify([codes.categories, codes.noise, others, map?.axes]);
    const changed = map && key !== this.mapKey;
    if (changed) for (const styles of map.grid(codes.styles)) rows.push({ ...codes, styles });
    if (!rows.length) return;
    const pixels = await this.generateRows(rows.map((row) => ({ codes: row })));
    this.variations = pixels;
    this.categoryCanvases.forEach((canvas, i) => paint(canvas, pixels, this.image, i));
    this.sliders.forEach((slider, code) => slider.showEnds(pixels, ends + 2 * code));
    if (!changed) return;
    map.paint(pixels.subarray(first * imageBytes(this.image)));
    this.mapKey = key;
  }

  /** Generate one image of each row, in as many requests as the bundle needs.
   * @param {{codes: Codes, noise?: Float32Array}[]} rows noise where it is not that of the codes */
  async generateRows(rows) {
    const latent = this.info.metadata.latent;
    const width = latent.noise + latent.categorical.length + latent.continuous;
    const values = new Float32Array(rows.length * width);
    rows.forEach(({ codes, noise = this.noiseVector(codes.noise) }, i) => {
      values.set([...noise, ...codes.categories, ...codes.styles], i * width);
    });
    const bytes = imageBytes(this.image);
    const pixels = new Uint8Array(rows.length * bytes);
    for (let from = 0; from < rows.length; from += this.info.max_images) {
      const part = values.slice(from * width, (from + this.info.max_images) * width);
      pixels.set(await this.page.backend.generate(this.index, part), from * bytes);
    }
    return pixels;
  }

  /** @param {number} number */
  noiseVector(number) {
    const width = this.info.metadata.latent.noise;
    return this.page.noises.slice(number * width, (number + 1) * width);
  }

  // --- showing -------------------------------------------------------------------------------------------

  show() {
    const { parts, posterior, codes } = this;
    this.sliders.forEach((slider, i) => slider.show(codes.styles[i], posterior));
    this.map?.show(codes.styles, posterior);
    parts.edited.hidden = !posterior || this.following;
    parts.image.setAttribute("aria-label", `Generated image: ${codesInWords(this.info, codes)}`);
    if (this.shown.categories !== codes.categories || this.shown.posterior !== posterior) this.showCategories();
    if (this.shown.posterior !== posterior) this.showPrediction();
    this.shown = { categories: codes.categories, posterior };
  }

  showCategories() {
    const { posterior, codes } = this;
    this.groups.forEach((group, i) => group.show(codes.categories[i], posterior?.probabilities[i] ?? null));
    this.parts.row.querySelectorAll("button").forEach((button, i) => {
      button.setAttribute("aria-pressed", String(this.order[i] === codes.categories[0]));
    });
  }

  showPrediction() {
    const { parts, posterior } = this;
    const predicted = posterior && prediction(this.info, posterior);
    parts.label.textContent = predicted?.label ?? "";
    parts.label.hidden = !predicted?.label;
    parts.label.classList.toggle("unreliable", predicted?.reliable === false);
    parts.prediction.textContent = predicted?.text ?? "Draw or open an image, or set the codes.";
    parts["preprocessed-figure"].hidden = !posterior;
    if (!posterior) parts.again.hidden = true;
    if (posterior) paint(/** @type {HTMLCanvasElement} */ (parts.preprocessed), posterior.preprocessed, this.image);
  }

  /** Show the problem of some work; where it has none, hide the one that it had before, and no other's.
   * @param {string} name @param {() => Promise<void>} work */
  async guarded(name, work) {
    const before = this.problems[name];
    let problem = "";
    try {
      await work();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    this.problems[name] = problem;
    if (problem || before) this.page.onProblem();
  }

  /** The first problem of its work; "" for none. */
  get problem() {
    return Object.values(this.problems).find(Boolean) ?? "";
  }

  // --- files ---------------------------------------------------------------------------------------------

  /** @param {string} what */
  fileName(what) {
    return `infogan-${this.info.name.replaceAll(/[^\w.-]+/g, "_")}-${what}`;
  }

  origin() {
    return { bundle: this.info.metadata.bundle_id, seed: this.page.noiseSeed };
  }

  /** Codes with the keys of `codes.jsonl`, which `infogan-tool generate` writes.
   * @param {Codes} codes */
  named(codes) {
    const { categorical, continuous } = this.info.codes;
    const { labels, style_names: names } = this.info.metadata;
    return {
      image: codes.noise,
      categories: categorical.map((code, i) => {
        const index = codes.categories[i];
        return { code, index, label: labels[code]?.[index] ?? null };
      }),
      styles: continuous.map((code, i) => ({ code, name: names[code] ?? null, value: codes.styles[i] })),
    };
  }
}
