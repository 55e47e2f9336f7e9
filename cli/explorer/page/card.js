/** The model card: what the bundle was trained on, how good it is, where it ends. */

import { categoryName, inOrder, styleName } from "./codes.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */

/** @param {string} name @param {(string | Node)[]} content */
function element(name, ...content) {
  const made = document.createElement(name);
  made.append(...content);
  return made;
}

/** @param {number} share */
const exact = (share) => `${(100 * share).toFixed(2)} %`;
/** @param {number} count */
const counted = (count) => (isNumber(count) ? count.toLocaleString("en") : "?");
/** @param {unknown} value */
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/** @param {BundleInfo} info @returns {[string, string][]} */
function facts(info) {
  const { metadata } = info;
  const { latent, image, training, card } = metadata;
  /** @type {[string, string][]} */
  const rows = [];
  const data = training.data ?? {};
  if (data.name) rows.push(["Trained on", `${data.name}${isNumber(data.images) ? `, ${counted(data.images)} pictures` : ""}, without labels`]);
  const accuracy = card.accuracy;
  if (isNumber(accuracy?.test)) {
    rows.push(["Accuracy", `${exact(accuracy.test)} of ${counted(accuracy.test_count)} test pictures: the category found without labels is the right one`]);
  } else if (isNumber(accuracy?.train)) {
    rows.push(["Accuracy", `${exact(accuracy.train)} on training pictures`]);
  }
  rows.push(...measured(info));
  info.codes.categorical.forEach((code, i) => {
    rows.push([code, `${latent.categorical[i]} categories: ${inOrder(info, i).map((c) => categoryName(info, i, c)).join(", ")}`]);
  });
  info.codes.continuous.forEach((code, i) => rows.push([code, `a style from −1 to 1: ${styleFacts(info, code, i)}`]));
  rows.push(["Noise", latent.noise ? `${latent.noise} numbers, ${latent.noise_prior}: whatever the codes leave open` : "none"]);
  rows.push(["Pictures", `${image.size} × ${image.size}, ${image.channels === 1 ? "grey" : "colour"}`]);
  rows.push(["Recipe", [training.preset && `preset ${training.preset}`, isNumber(training.seed) && `seed ${training.seed}`, isNumber(training.steps) && `${counted(training.steps)} steps`].filter(Boolean).join(", ")]);
  rows.push(["Size", Object.entries(metadata.graphs).map(([name, graph]) => `${name} ${(graph.bytes / 1e6).toFixed(1)} MB`).join(", ")]);
  rows.push(["Made by", `infogan-tool ${metadata.tool_version}`]);
  rows.push(["Bundle", metadata.bundle_id]);
  return rows.filter(([, value]) => value);
}

/** What a style was measured to follow: the name, and the correlation on drawn and on real pictures.
 * @param {BundleInfo} info @param {string} code @param {number} index */
function styleFacts(info, code, index) {
  const name = info.metadata.style_names[code];
  if (!name) return "follows no single attribute";
  const measured = info.metadata.card.styles?.correlation?.[code]?.[name.replaceAll(" ", "_")];
  if (!Array.isArray(measured) || !measured.every(isNumber)) return styleName(info, index);
  return `${name} (correlation ${measured[0].toFixed(2)} on drawn, ${measured[1].toFixed(2)} on real pictures)`;
}

/** What the pictures it draws were found to be, where an evaluation was kept.
 * @param {BundleInfo} info @returns {[string, string][]} */
function measured(info) {
  const { generator, round_trip: trip } = info.metadata.card.evaluation ?? {};
  const right = generator?.purity?.[info.codes.categorical[0]]?.purity;
  const read = trip?.categorical?.[info.codes.categorical[0]]?.recovered;
  const said = [
    isNumber(right) && `${exact(right)} show what their category stands for, to an independent judge`,
    isNumber(read) && `in ${exact(read)} the category is read back`,
    isNumber(generator?.distances?.frechet) && `Fréchet distance to real ones ${generator.distances.frechet.toFixed(1)}`,
  ].filter((text) => typeof text === "string");
  return said.length ? [["Drawn", said.join("; ")]] : [];
}

/** @param {BundleInfo} info @returns {string[]} */
function limits(info) {
  const said = info.metadata.card.limitations;
  return Array.isArray(said) ? said.filter((text) => typeof text === "string") : [];
}

/** @param {HTMLElement} body @param {BundleInfo[]} bundles */
export function fillCard(body, bundles) {
  body.replaceChildren();
  for (const info of bundles) {
    const title = info.shipped ? `${info.name} (ships with infogan-tool)` : info.name;
    const list = element("dl");
    for (const [name, value] of facts(info)) list.append(element("div", element("dt", name), element("dd", value)));
    const section = element("section", element("h3", title), list);
    const ends = limits(info).map((text) => element("li", text));
    if (ends.length) section.append(element("h4", "Where it ends"), element("ul", ...ends));
    body.append(section);
  }
  const how = element(
    "p",
    "An InfoGAN (Chen et al., 2016, arXiv:1606.03657) is a generator that is rewarded when another network can ",
    "read from its pictures the codes it was given. So the codes come to mean something that can be seen.",
  );
  how.className = "explain";
  body.append(how);
}
