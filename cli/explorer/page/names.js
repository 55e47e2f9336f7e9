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

/** The categories of a code in the order of their probabilities, those with the same label as one: the most probable of
 * them, and the sum of their probabilities.
 * @param {BundleInfo} info @param {number} code @param {number[]} table a probability for each category */
export function byLabel(info, code, table) {
  const labels = info.metadata.labels[info.codes.categorical[code]];
  /** @type {Map<string | number, {index: number, share: number}>} */
  const found = new Map();
  table.forEach((share, index) => {
    const label = labels?.[index] ?? index;
    const one = found.get(label) ?? { index, share: 0 };
    if (share > table[one.index]) one.index = index;
    one.share += share;
    found.set(label, one);
  });
  return [...found.values()].sort((a, b) => b.share - a.share);
}

/** The most probable category, of the first code with labels, or "?" where it is not reliable, and why.
 * @param {BundleInfo} info @param {Posterior} posterior */
export function prediction(info, { probabilities, ood }) {
  const tables = probabilities.map((table, code) => byLabel(info, code, table));
  if (!tables.length) return { reliable: !ood, label: "", text: ood ? "Out of distribution: unlike the training images." : "" };
  const main = Math.max(0, info.codes.categorical.findIndex((code) => info.metadata.labels[code]?.some((label) => label !== null)));
  const first = categoryName(info, main, tables[main][0].index);
  if (ood) {
    return { reliable: false, label: "?", text: `Out of distribution: unlike the training images. Most probable: ${first}.` };
  }
  const code = [main, ...tables.keys()].find((one) => tables[one][0].share < CONFIDENT);
  if (code === undefined) return { reliable: true, label: first, text: `${percent(tables[main][0].share)} confidence` };
  const [one, other] = tables[code].map(({ index, share }) => `${categoryName(info, code, index)} (${percent(share)})`);
  const where = code === main ? "" : ` in ${info.codes.categorical[code]}`;
  return { reliable: false, label: code === main ? "?" : first, text: `Low confidence${where}: ${one} or ${other}.` };
}
