/** A bundle from a folder that is dropped on the page or opened; its files are untrusted. */

import { GRAPHS } from "./files.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Metadata} Metadata */

const SCHEMA_VERSION = 2;
const METADATA = "metadata.json";
const MAX_BYTES = 512 * 1024 * 1024;
const MAX_LATENT = 65536;
const MAX_CODES = 100;
const MAX_SIDE = 1024;
/** As in `api.py` and `description.py`. */
const [MAX_IMAGES, MAX_VALUES, NOISE_COUNT, NOISE_BYTES] = [256, 1 << 24, 256, 1 << 20];

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
 * @returns {Promise<{info: BundleInfo, noise: Float32Array, graphs: Uint8Array[]}>} */
export async function readBundle(files, name) {
  const [text, ...graphs] = [METADATA, ...GRAPHS].map((wanted) => {
    const file = files.find((one) => one.name === wanted);
    if (!file) throw new Error(`This folder is not a bundle: it has no ${wanted}.`);
    if (file.size > MAX_BYTES) throw new Error(`${wanted} is too large for this page.`);
    return file;
  });
  const metadata = checked(JSON.parse(await text.text()));
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
  return { info, noise: randomNoise(count * noise, prior), graphs: contents };
}

/** The metadata, where all that the page computes with is of the right kind.
 * @param {any} found @returns {Metadata} */
function checked(found) {
  const { schema_version: version, latent, image } = found ?? {};
  if (version !== SCHEMA_VERSION) throw new Error(`This page reads bundles of version ${SCHEMA_VERSION}, not ${version}.`);
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
    (found.ood === undefined || found.ood === null || Number.isFinite(found.ood.threshold));
  if (!valid) throw new Error(`${METADATA} of this folder is damaged.`);
  /** @param {any} value */
  const table = (value) => (value && typeof value === "object" ? value : {});
  return {
    ...found,
    labels: table(found.labels),
    style_names: table(found.style_names),
    graphs: table(found.graphs),
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
