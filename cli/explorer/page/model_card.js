/** The model card: training data, metrics, codes and limitations of each bundle. */

import { element } from "./dom.js";
import { categoryName, inOrder, signed, styleName } from "./names.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */

/** @param {unknown} value */
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
/** @param {number} share */
const exact = (share) => `${(100 * share).toFixed(2)} %`;
/** @param {number} count */
const counted = (count) => (isNumber(count) ? count.toLocaleString("en") : "?");

/** Rows of the card; those without a value are left out.
 * @param {BundleInfo} info @returns {[string, string][]} */
function facts(info) {
  const { metadata } = info;
  const { latent, image, training, card } = metadata;
  const { accuracy } = card;
  const data = training.data ?? {};
  const size = isNumber(data.images) ? `, ${counted(data.images)} images` : "";
  /** @type {[string, string][]} */
  const rows = [["Training data", data.name ? `${data.name}${size}, without labels` : ""]];
  if (isNumber(accuracy?.test)) {
    rows.push(["Accuracy", `${exact(accuracy.test)} on ${counted(accuracy.test_count)} test images, by the label of the most probable category`]);
  } else if (isNumber(accuracy?.train)) {
    rows.push(["Accuracy", `${exact(accuracy.train)} on training images`]);
  }
  rows.push(["Generated images", generatorMetrics(info)]);
  info.codes.categorical.forEach((code, i) => {
    rows.push([code, `${latent.categorical[i]} categories: ${inOrder(info, i).map((c) => categoryName(info, i, c)).join(", ")}`]);
  });
  info.codes.continuous.forEach((code, i) => rows.push([code, `style, uniform from −1 to 1: ${styleAttribute(info, code, i)}`]));
  rows.push(["Noise", latent.noise ? `${latent.noise} values, ${latent.noise_prior}` : "none"]);
  rows.push(["Images", `${image.size} × ${image.size}, ${image.channels === 1 ? "grey" : "colour"}`]);
  rows.push(["Training", [training.preset && `preset ${training.preset}`, isNumber(training.seed) && `seed ${training.seed}`, isNumber(training.steps) && `${counted(training.steps)} steps`].filter(Boolean).join(", ")]);
  rows.push(["Size", Object.entries(metadata.graphs).map(([name, graph]) => `${name} ${(graph.bytes / 1e6).toFixed(1)} MB`).join(", ")]);
  rows.push(["Exported by", `infogan-tool ${metadata.tool_version}`]);
  rows.push(["Bundle", metadata.bundle_id]);
  return rows.filter(([, value]) => value);
}

/** The attribute that a style controls, and its correlation on generated and on real images.
 * @param {BundleInfo} info @param {string} code @param {number} index */
function styleAttribute(info, code, index) {
  const name = info.metadata.style_names[code];
  if (!name) return "no single attribute";
  const measured = info.metadata.card.styles?.correlation?.[code]?.[name.replaceAll(" ", "_")];
  if (!Array.isArray(measured) || !measured.every(isNumber)) return styleName(info, index);
  return `${name} (correlation ${signed(measured[0])} on generated, ${signed(measured[1])} on real images)`;
}

/** Metrics of the generator, where the bundle has an evaluation.
 * @param {BundleInfo} info */
function generatorMetrics(info) {
  const { generator, round_trip: trip } = info.metadata.card.evaluation ?? {};
  const purity = generator?.purity?.[info.codes.categorical[0]]?.purity;
  const recovered = trip?.categorical?.[info.codes.categorical[0]]?.recovered;
  return [
    isNumber(purity) && `an evaluation classifier assigns ${exact(purity)} to the most frequent class of their category`,
    isNumber(recovered) && `the encoder recovers the category of ${exact(recovered)}`,
    isNumber(generator?.distances?.frechet) && `Fréchet distance to real images ${generator.distances.frechet.toFixed(1)}`,
  ].filter(Boolean).join("; ");
}

/** @param {HTMLElement} body @param {BundleInfo[]} bundles */
export function fillCard(body, bundles) {
  body.replaceChildren();
  for (const info of bundles) {
    const title = info.pretrained ? `${info.name} (pretrained)` : info.name;
    const rows = facts(info).map(([name, value]) => element("div", "", element("dt", "", name), element("dd", "", value)));
    const section = element("section", "", element("h3", "", title), element("dl", "", ...rows));
    const { limitations } = info.metadata.card;
    const listed = Array.isArray(limitations) ? limitations.filter((text) => typeof text === "string") : [];
    if (listed.length) {
      section.append(element("h4", "", "Limitations"), element("ul", "", ...listed.map((text) => element("li", "", text))));
    }
    body.append(section);
  }
  const method =
    "InfoGAN (Chen et al., 2016, arXiv:1606.03657) trains a generator to maximise the mutual information between " +
    "its codes and its images, so that the codes can be inferred from an image by the encoder Q.";
  body.append(element("p", "explain", method));
}
