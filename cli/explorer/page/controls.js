/** The controls of the codes: a button for each category, a slider for each style. */

import { element } from "./dom.js";
import { paint } from "./images.js";
import { categoryName, inOrder, percent, signed, styleName } from "./names.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Posterior} Posterior */

const HUES = 4;
let groups = 0;

/** Whether a style's ends, -1 and 1, are the same.
 * @param {BundleInfo} info @param {number} code */
export const isPeriodic = (info, code) => !!info.metadata.latent.periodic?.includes(info.codes.continuous[code]);

/** Range of a style's slider and of its axis: -reach to reach. The prior is -1 to 1, of a periodic style the whole round.
 * @param {BundleInfo} info @param {number} code */
export const reachOf = (info, code) => (isPeriodic(info, code) ? 1 : 2);

/** @param {number} code */
export const hue = (code) => `hue-${code % HUES}`;

/** Position of a style's value on its slider, from 0 to 1.
 * @param {BundleInfo} info @param {number} code @param {number} value */
export function position(info, code, value) {
  const reach = reachOf(info, code);
  return Math.max(0, Math.min(1, (value + reach) / (2 * reach)));
}

/** A group of radio buttons with a bar of probability each.
 * @param {BundleInfo} info @param {number} code @param {(index: number) => void} onPick */
export function categoryGroup(info, code, onPick) {
  const name = `category-${groups++}`;
  const rows = inOrder(info, code).map((index) => {
    const input = Object.assign(element("input", ""), { type: "radio", name, value: String(index) });
    input.addEventListener("change", () => onPick(index));
    const probability = element("span", "probability");
    const title = element("span", "category-name", categoryName(info, code, index));
    return { index, input, probability, row: element("label", "category", input, title, element("span", "bar"), probability) };
  });
  const legend = element("legend", "", "Category", element("span", "tag", info.codes.categorical[code]));
  const list = element("div", "category-list", ...rows.map(({ row }) => row));
  return {
    element: element("fieldset", "categories", legend, list),
    /** @param {number} chosen @param {number[] | null} probabilities */
    show(chosen, probabilities) {
      for (const { index, input, probability, row } of rows) {
        input.checked = index === chosen;
        row.style.setProperty("--probability", String(probabilities ? probabilities[index] : 0));
        probability.textContent = probabilities ? percent(probabilities[index]) : "";
      }
    },
  };
}

/** A slider with the posterior on its track, and the generated images of its two ends beside it.
 * @param {BundleInfo} info @param {number} code @param {(value: number) => void} onTurn */
export function styleSlider(info, code, onTurn) {
  const name = info.codes.continuous[code];
  const [reach, periodic] = [reachOf(info, code), isPeriodic(info, code)];
  const range = { type: "range", min: String(-reach), max: String(reach), step: "0.01" };
  const input = Object.assign(element("input", ""), range);
  input.setAttribute("aria-label", `${styleName(info, code)}, ${name}`);
  input.addEventListener("input", () => onTurn(Number(input.value)));
  const title = element("span", "style-name", styleName(info, code));
  if (info.metadata.style_names[name]) title.append(element("span", "tag", name));
  const value = element("output", "");
  const [prior, band, mark] = ["prior", "band", "mark"].map((kind) => element("span", kind));
  const ends = [0, 1].map(() => element("canvas", "end"));
  for (const canvas of ends) canvas.setAttribute("aria-hidden", "true");
  const track = element("div", "track", prior, band, mark, input);
  prior.hidden = periodic;
  const note = element("p", "style-note");
  const head = element("div", "style-head", title, value);
  return {
    element: element("div", `style ${hue(code)}`, head, element("div", "style-row", ends[0], track, ends[1]), note),
    /** @param {number} current @param {Posterior | null} posterior */
    show(current, posterior) {
      input.value = String(current);
      input.setAttribute("aria-valuetext", signed(current));
      value.textContent = signed(current);
      band.hidden = mark.hidden = !posterior;
      note.textContent = posterior
        ? `inferred from the image: ${signed(posterior.mean[code])} ± ${posterior.std[code].toFixed(2)}`
        : periodic ? "periodic: its ends show the same" : "framed: the trained range, −1 to 1";
      if (!posterior) return;
      const [mean, std] = [posterior.mean[code], posterior.std[code]];
      band.style.setProperty("--from", String(position(info, code, mean - 2 * std)));
      band.style.setProperty("--to", String(position(info, code, mean + 2 * std)));
      mark.style.setProperty("--from", String(position(info, code, mean)));
    },
    /** @param {Uint8Array} pixels @param {number} first the image of the low end; the next is the high end's */
    showEnds(pixels, first) {
      ends.forEach((canvas, i) => paint(canvas, pixels, info.metadata.image, first + i));
    },
  };
}
