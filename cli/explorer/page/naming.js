/** The dialog in which categories and styles get names, beside generated images of each. */

import { reachOf } from "./controls.js";
import { byId, element } from "./dom.js";
import { paint } from "./images.js";

/** @typedef {import("./bundle_view.js").BundleView} BundleView */
/** @typedef {import("./types.js").Names} Names */

const MAX_NAME = 60;
/** Noise vectors that images of a category are shown with. */
const EXAMPLES = 4;

/** @param {BundleView} view @param {(names: Names) => Promise<void>} onSave */
export async function openNaming(view, onSave) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("naming"));
  const form = /** @type {HTMLFormElement} */ (byId("naming-form"));
  const problem = byId("naming-problem");
  problem.hidden = true;
  const { info } = view;
  /** @type {Map<string, HTMLInputElement>} by code and index, or code */
  const inputs = new Map();
  const parts = [];
  for (const [code, size] of info.metadata.latent.categorical.entries()) {
    const name = info.codes.categorical[code];
    const rows = Array.from({ length: size }, (_, category) => {
      const codes = { ...view.codes, categories: view.codes.categories.with(code, category) };
      const noises = Array.from({ length: Math.min(EXAMPLES, info.noise_count) }, (__, noise) => ({ ...codes, noise }));
      return nameRow(view, inputs, `${name} ${category}`, info.metadata.labels[name]?.[category], `#${category}`, noises);
    });
    parts.push(element("fieldset", "naming-group", element("legend", "", `Categories of ${name}`), ...rows));
  }
  const styles = info.codes.continuous.map((name, code) => {
    const half = reachOf(info, code) / 2;
    const along = [-half, 0, half].map((value) => ({ ...view.codes, styles: view.codes.styles.with(code, value) }));
    return nameRow(view, inputs, name, info.metadata.style_names[name], name, along);
  });
  if (styles.length) parts.push(element("fieldset", "naming-group", element("legend", "", "Styles"), ...styles));
  byId("naming-rows").replaceChildren(...parts);
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      await onSave(namesOf(view, inputs));
      dialog.close();
    } catch (error) {
      problem.textContent = error instanceof Error ? error.message : String(error);
      problem.hidden = false;
    }
  };
  byId("naming-cancel").onclick = () => dialog.close();
  dialog.showModal();
}

/** @param {BundleView} view @param {Map<string, HTMLInputElement>} inputs @param {string} key
 * @param {string | null | undefined} value @param {string} title @param {import("./types.js").Codes[]} shown */
function nameRow(view, inputs, key, value, title, shown) {
  const canvases = shown.map(() => element("canvas", ""));
  for (const canvas of canvases) canvas.setAttribute("aria-hidden", "true");
  view.generateRows(shown.map((codes) => ({ codes }))).then((pixels) => {
    canvases.forEach((canvas, i) => paint(canvas, pixels, view.image, i));
  }, () => undefined);
  const input = element("input", "");
  input.type = "text";
  input.maxLength = MAX_NAME;
  input.value = value ?? "";
  input.placeholder = title;
  input.setAttribute("aria-label", `Name of ${key}`);
  inputs.set(key, input);
  return element("div", "naming-row", element("span", "naming-images", ...canvases), input);
}

/** The names that were changed.
 * @param {BundleView} view @param {Map<string, HTMLInputElement>} inputs @returns {Names} */
function namesOf(view, inputs) {
  const { labels, style_names: named, latent } = view.info.metadata;
  /** @type {Names} */
  const names = { categories: {}, styles: {} };
  /** @param {string} key */
  const given = (key) => inputs.get(key)?.value.trim() ?? "";
  view.info.codes.categorical.forEach((name, code) => {
    for (let category = 0; category < latent.categorical[code]; category++) {
      const value = given(`${name} ${category}`);
      if (value !== (labels[name]?.[category] ?? "")) (names.categories[name] ??= {})[category] = value;
    }
  });
  for (const name of view.info.codes.continuous) {
    if (given(name) !== (named[name] ?? "")) names.styles[name] = given(name);
  }
  return names;
}
