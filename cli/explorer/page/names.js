/** Names of categories and styles, and the prediction as a sentence. */

/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Codes} Codes */
/** @typedef {import("./types.js").Posterior} Posterior */

/** Below this probability the page says that the confidence is low. */
const CONFIDENT = 0.8;

/** @param {BundleInfo} info @param {number} code @param {number} index */
export function categoryName(info, code, index) {
  return info.metadata.labels[info.codes.categorical[code]]?.[index] ?? `#${index}`;
}

/** Categories of a code in the order of their names.
 * @param {BundleInfo} info @param {number} code @returns {number[]} */
export function inOrder(info, code) {
  const order = [...Array(info.metadata.latent.categorical[code]).keys()];
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  return order.sort((a, b) => compare(categoryName(info, code, a), categoryName(info, code, b)) || a - b);
}

/** @param {BundleInfo} info @param {number} code */
export function styleName(info, code) {
  const name = info.codes.continuous[code];
  return info.metadata.style_names[name] ?? name;
}

/** @param {number} share */
export const percent = (share) => (share > 0.995 ? ">99 %" : `${Math.round(share * 100)} %`);

/** @param {number} value */
export const signed = (value) => (value <= -0.005 ? "−" : "+") + Math.abs(value).toFixed(2);

/** The codes as one line of text.
 * @param {BundleInfo} info @param {Codes} codes */
export function codesInWords(info, codes) {
  const categories = codes.categories.map((index, code) => categoryName(info, code, index));
  const styles = codes.styles.map((value, code) => `${styleName(info, code)} ${value.toFixed(2)}`);
  return [...categories, ...styles].join(", ");
}

/** The most probable category of the first code, or "?" where the prediction is not reliable, and why.
 * Categories with the same name count as one.
 * @param {BundleInfo} info @param {Posterior} posterior */
export function prediction(info, { probabilities, ood }) {
  const table = probabilities[0];
  if (!table) return { reliable: !ood, label: "", text: ood ? "Out of distribution: unlike the training images." : "" };
  /** @type {Map<string, number>} */
  const named = new Map();
  table.forEach((share, index) => {
    const name = categoryName(info, 0, index);
    named.set(name, (named.get(name) ?? 0) + share);
  });
  const [[first, best], runnerUp] = [...named].sort((a, b) => b[1] - a[1]);
  if (ood) {
    return { reliable: false, label: "?", text: `Out of distribution: unlike the training images. Most probable: ${first}.` };
  }
  if (best < CONFIDENT && runnerUp) {
    const [second, share] = runnerUp;
    return { reliable: false, label: "?", text: `Low confidence: ${first} (${percent(best)}) or ${second} (${percent(share)}).` };
  }
  return { reliable: true, label: first, text: `${percent(best)} confidence` };
}
