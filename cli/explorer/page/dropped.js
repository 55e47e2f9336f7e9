/** A bundle from a folder that is dropped on the page or opened; its files are untrusted. */

import { decode } from "./drawing.js";
import { GRAPHS } from "./files.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Metadata} Metadata */

const SCHEMA_VERSION = 2;
const METADATA = "metadata.json";
const EXAMPLES = "examples.png";
const MAX_BYTES = 512 * 1024 * 1024;
const MAX_LATENT = 65536;
const MAX_CODES = 100;
const MAX_SIDE = 1024;
/** As in `api.py` and `description.py`. */
const [MAX_IMAGES, MAX_VALUES, NOISE_COUNT, NOISE_BYTES] = [256, 1 << 24, 256, 1 << 20];
/** As in `example_images.py`. */
const [MAX_EXAMPLES, MAX_EXAMPLE_PIXELS] = [100, 1 << 24];
const PNG_SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** The files of a folder that was dropped; null where no folder was.
 * @param {DataTransfer | null} data @returns {Promise<File[]> | null} */
export function droppedFolder(data) {
  const entry = [...(data?.items ?? [])].map((item) => item.webkitGetAsEntry?.()).find((one) => one?.isDirectory);
  if (!entry) return null;
  const folder = /** @type {FileSystemDirectoryEntry} */ (entry);
  return new Promise((done, failed) => {
    /** @type {FileSystemEntry[]} */
    const found = [];
    const reader = folder.createReader();
    const more = () =>
      reader.readEntries(async (entries) => {
        found.push(...entries);
        if (entries.length && found.length < 1000) return more();
        const files = found.filter((one) => one.isFile);
        const opened = files.map((one) => new Promise((/** @type {(file: File) => void} */ ok, no) => {
          /** @type {FileSystemFileEntry} */ (one).file(ok, no);
        }));
        Promise.all(opened).then(done, failed);
      }, failed);
    more();
  });
}

/** @param {File[]} files @param {string} name of the folder
 * @returns {Promise<{info: BundleInfo, noise: Float32Array, graphs: Uint8Array[], examples: File | null}>} */
export async function readBundle(files, name) {
  /** @param {string} wanted */
  const fileOf = (wanted) => {
    const file = files.find((one) => one.name === wanted);
    if (!file) throw new Error(`This folder is not a bundle: it has no ${wanted}.`);
    if (file.size > MAX_BYTES) throw new Error(`${wanted} is too large for this page.`);
    return file;
  };
  const [text, ...graphs] = [METADATA, ...GRAPHS].map(fileOf);
  const metadata = checked(parsed(await text.text()));
  const examples = metadata.examples ? fileOf(EXAMPLES) : null;
  if (examples && !(await isStrip(examples, metadata))) throw new Error(`${EXAMPLES} of this folder is damaged.`);
  const { noise, noise_prior: prior, categorical, continuous } = metadata.latent;
  const { size, channels } = metadata.image;
  const count = noise ? Math.max(1, Math.min(NOISE_COUNT, Math.floor(NOISE_BYTES / (4 * noise)))) : 1;
  const largest = Math.max(size * size * channels, 8 * (noise + categorical.length + continuous));
  const info = {
    name,
    pretrained: false,
    noise_count: count,
    max_images: Math.max(1, Math.min(MAX_IMAGES, Math.floor(MAX_VALUES / largest))),
    codes: {
      categorical: categorical.map((_, i) => `k${i + 1}`),
      continuous: Array.from({ length: continuous }, (_, i) => `c${i + 1}`),
    },
    metadata,
  };
  const contents = await Promise.all(graphs.map(async (file) => new Uint8Array(await file.arrayBuffer())));
  return { info, noise: randomNoise(count * noise, prior), graphs: contents, examples };
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${METADATA} of this folder is damaged.`);
  }
}

/** Whether a file is a PNG of the example images side by side; its size is checked before it is decoded.
 * @param {File} file @param {Metadata} metadata */
async function isStrip(file, { image, examples }) {
  const head = new DataView(await file.slice(0, 24).arrayBuffer());
  if (head.byteLength < 24 || PNG_SIGNATURE.some((byte, i) => head.getUint8(i) !== byte)) return false;
  if (head.getUint32(16) !== (examples?.count ?? 0) * image.size || head.getUint32(20) !== image.size) return false;
  return (await decode(file)) !== null;
}

/** The metadata, where all that the page computes with is of the right kind.
 * @param {any} found @returns {Metadata} */
function checked(found) {
  const { schema_version: version, latent, image } = found ?? {};
  if (version !== SCHEMA_VERSION) throw new Error(`This page reads bundles of version ${SCHEMA_VERSION}, not ${version}.`);
  const { preprocessing } = image ?? {};
  const isPlain = preprocessing?.kind === "plain";
  /** @param {unknown} value @param {number} low @param {number} high */
  const whole = (value, low, high) => Number.isInteger(value) && Number(value) >= low && Number(value) <= high;
  const valid =
    whole(latent?.noise, 0, MAX_LATENT) &&
    ["uniform", "normal"].includes(latent.noise_prior) &&
    whole(latent.continuous, 0, MAX_CODES) &&
    Array.isArray(latent.categorical) &&
    latent.categorical.length <= MAX_CODES &&
    latent.categorical.every((/** @type {unknown} */ one) => whole(one, 2, MAX_LATENT)) &&
    whole(image?.size, 1, MAX_SIDE) &&
    [1, 3].includes(image.channels) &&
    Number.isFinite(image.low) &&
    Number.isFinite(image.high) &&
    image.low < image.high &&
    (found.ood === undefined || found.ood === null || Number.isFinite(found.ood.threshold)) &&
    (latent.periodic === undefined || Array.isArray(latent.periodic)) &&
    (preprocessing === undefined ||
      isPlain ||
      (preprocessing?.kind === "centred_foreground" &&
        image.channels === 1 &&
        whole(preprocessing.box, 1, image.size) &&
        ["mass", "box"].includes(preprocessing.centre) &&
        ["light", "dark"].includes(preprocessing.ink) &&
        Number.isFinite(preprocessing.stroke) &&
        preprocessing.stroke >= 0 &&
        preprocessing.stroke <= preprocessing.box / 2)) &&
    (found.examples === undefined ||
      whole(found.examples?.count, 1, Math.max(1, Math.min(MAX_EXAMPLES, MAX_EXAMPLE_PIXELS / image.size ** 2))));
  if (!valid) throw new Error(`${METADATA} of this folder is damaged.`);
  /** @param {any} value @param {(one: any) => boolean} [fits] whether a value of the table may stay */
  const table = (value, fits = () => true) =>
    Object.fromEntries(Object.entries(value && typeof value === "object" ? value : {}).filter(([, one]) => fits(one)));
  /** @param {unknown} value */
  const isText = (value) => typeof value === "string";
  return {
    ...found,
    image: { ...image, preprocessing: isPlain ? undefined : preprocessing },
    labels: table(found.labels, (one) => Array.isArray(one) && one.every((label) => label === null || isText(label))),
    style_names: table(found.style_names, isText),
    graphs: table(found.graphs, (one) => isText(one?.sha256) && Number.isFinite(one.bytes)),
    card: table(found.card),
    training: table(found.training),
  };
}

/** @param {number} count @param {string} prior */
function randomNoise(count, prior) {
  if (prior === "uniform") return Float32Array.from({ length: count }, () => 2 * Math.random() - 1);
  return Float32Array.from({ length: count }, () => {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  });
}
