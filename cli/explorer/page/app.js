/** Builds the page: the backend, the canvas, one view for each bundle, and the state in the address. */

import { BundleView } from "./bundle_view.js";
import { showData } from "./data_view.js";
import { byId } from "./dom.js";
import { Drawing } from "./drawing.js";
import { droppedFolder, readBundle } from "./dropped.js";
import { addExamples } from "./examples.js";
import { expand, readJson } from "./files.js";
import { imageBytes } from "./images.js";
import { debounced, latest } from "./latest.js";
import { codesFromText, codesToText, compress, fromBase64, toBase64 } from "./link.js";
import { fillCard } from "./model_card.js";
import { prediction } from "./names.js";
import { openNaming } from "./naming.js";
import { serverBackend } from "./backend_server.js";
import { connectTour } from "./tour.js";

/** @typedef {import("./types.js").Backend} Backend */
/** @typedef {import("./types.js").Model} Model */

const STATE_DELAY_MS = 300;
const ANNOUNCE_DELAY_MS = 700;
/** Compressed bytes of an image in a link, at most. */
const MAX_LINK_IMAGE = 4096;
const MAX_FILE = 16 * 1024 * 1024;

/** @param {string} text */
function showProblem(text) {
  const line = byId("problem");
  if (line.textContent !== text) line.textContent = text;
  line.hidden = !text;
}

/** @param {Model} model @returns {Promise<Backend>} */
async function backendFor(model) {
  if (model.inference === "server") return serverBackend(model.bundles);
  byId("where").textContent = "in this browser";
  byId("drop-note").hidden = false;
  const { browserBackend } = await import("./backend_browser.js");
  return browserBackend(model.bundles);
}

/** @param {Model} model @param {Backend} backend @param {() => void} onState
 * @param {(view: BundleView) => void} onName */
async function makeViews(model, backend, onState, onName) {
  const template = /** @type {HTMLTemplateElement} */ (byId("bundle-template"));
  const linked = /** @type {HTMLInputElement} */ (byId("linked"));
  const preprocesses = model.bundles.some((info) => info.metadata.image.preprocessing);
  byId("static-note").hidden = model.inference === "server" || !preprocesses;
  byId("bundles").replaceChildren();
  const compared = model.bundles.length > 1;
  const latents = new Set(model.bundles.map((info) => JSON.stringify(info.metadata.latent)));
  byId("main").classList.toggle("compared", compared);
  byId("linked-line").hidden = !compared || latents.size > 1;
  /** @type {BundleView[]} */
  const views = [];
  /** @param {BundleView} edited */
  const onEdited = (edited) => {
    if (latents.size > 1 || !linked.checked) return;
    for (const view of views) {
      if (view === edited) continue;
      view.following = edited.following;
      view.set({ ...edited.codes });
    }
  };
  const onProblem = () => showProblem(views.map((view) => view.problem).find(Boolean) ?? "");
  for (const [index, info] of model.bundles.entries()) {
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    const root = /** @type {HTMLElement} */ (copy.firstElementChild);
    const title = /** @type {HTMLElement} */ (root.querySelector(".bundle-title"));
    title.textContent = info.name;
    title.hidden = !compared;
    root.setAttribute("aria-label", `Bundle ${info.name}`);
    byId("bundles").append(root);
    const [noises, noiseSeed] = [await backend.noise(index), model.noise_seed];
    const page = { backend, noiseSeed, noises, onState, onEdited, onName, onProblem };
    views.push(new BundleView(info, index, root, page));
  }
  return views;
}

/** @param {Drawing} drawing @param {(files: File[], name: string) => void} onBundle */
function connectDrawing(drawing, onBundle) {
  const file = /** @type {HTMLInputElement} */ (byId("file"));
  const drop = byId("drop");
  /** @param {Blob | null | undefined} given */
  const take = (given) => {
    if (!given) return;
    if (given.size > MAX_FILE) showProblem(`The file is larger than ${MAX_FILE / 1024 / 1024} MB.`);
    else drawing.take(given);
  };
  byId("undo").addEventListener("click", () => drawing.undo());
  byId("clear").addEventListener("click", () => drawing.clear());
  byId("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    take(file.files?.[0]);
    file.value = "";
  });
  byId("pens").addEventListener("change", (event) => {
    drawing.pen = Number(/** @type {HTMLInputElement} */ (event.target).value);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const name = event.dataTransfer?.files[0]?.name ?? "bundle";
    const folder = droppedFolder(event.dataTransfer);
    if (folder) folder.then((files) => onBundle(files, name), () => showProblem("The folder cannot be read."));
    else take(event.dataTransfer?.files[0]);
  });
  const chooser = /** @type {HTMLInputElement} */ (byId("bundle-folder"));
  byId("choose-bundle").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    const files = [...(chooser.files ?? [])];
    if (files.length) onBundle(files, files[0].webkitRelativePath.split("/")[0] || "bundle");
    chooser.value = "";
  });
  document.addEventListener("paste", (event) => {
    take([...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/")));
  });
}

/** @param {() => BundleView} view @param {Drawing} drawing */
function connectKeys(view, drawing) {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.matches("select, textarea, input:not([type=range], [type=radio], [type=checkbox])");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    if (key === "z") drawing.undo();
    if (key === "n") view().newNoise();
    if (key === "r") view().randomCodes();
  });
}

function connectHeader() {
  const card = /** @type {HTMLDialogElement} */ (byId("card"));
  byId("open-card").addEventListener("click", () => card.showModal());
  byId("close-card").addEventListener("click", () => card.close());
  card.addEventListener("click", (event) => {
    if (event.target === card) card.close();
  });
  const button = byId("copy-link");
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard.writeText(location.href).then(() => true, () => false);
    button.textContent = copied ? "Copied" : "Copy it from the address bar";
    setTimeout(() => (button.textContent = "Copy link"), 2000);
  });
}

/** Write the page's state into its address.
 * @param {BundleView[]} views @param {Drawing} drawing */
async function writeState(views, drawing) {
  const state = new URLSearchParams();
  views.forEach((view, i) => {
    state.set(`codes${i}`, codesToText(view.codes));
    state.set(`from${i}`, codesToText(view.interpolation.from));
    state.set(`to${i}`, codesToText(view.interpolation.to));
    if (!view.following) state.set(`edited${i}`, "1");
  });
  const pixels = views[0].posterior?.preprocessed;
  if (drawing.strokes.length) state.set("strokes", drawing.strokesToText());
  else if (drawing.given && pixels) {
    const compressed = await compress(pixels, "deflate-raw");
    if (compressed.length <= MAX_LINK_IMAGE) state.set("image", toBase64(compressed));
  }
  // Commas, dots and tildes may stand in an address as they are.
  history.replaceState(null, "", `#${state.toString().replaceAll("%2C", ",").replaceAll("%7E", "~")}`);
}

/** Read what writeState wrote; invalid parts are ignored.
 * @param {BundleView[]} views @param {Drawing} drawing */
async function readState(views, drawing) {
  const state = new URLSearchParams(location.hash.slice(1));
  const strokes = state.get("strokes");
  const compressed = fromBase64(state.get("image") ?? "");
  const { image } = views[0];
  if (strokes) drawing.strokesFromText(strokes);
  else if (compressed?.length && compressed.length <= MAX_LINK_IMAGE) {
    const pixels = await expand(compressed, "deflate-raw").catch(() => null);
    if (pixels?.length === imageBytes(image)) drawing.takePreprocessed(pixels, image);
  }
  for (const [i, view] of views.entries()) {
    const { info, interpolation } = view;
    interpolation.from = codesFromText(state.get(`from${i}`), info) ?? interpolation.from;
    interpolation.to = codesFromText(state.get(`to${i}`), info) ?? interpolation.to;
    view.following = !state.get(`edited${i}`);
    view.codes = codesFromText(state.get(`codes${i}`), info) ?? view.codes;
  }
}

/** Show the predicted label on the canvas, for screens too small to show the codes beside it.
 * @param {BundleView} view */
function showBadge({ info, posterior }) {
  const label = posterior ? prediction(info, posterior).label : "";
  byId("badge").hidden = !label;
  byId("badge").textContent = label;
}

/** Announce the prediction to screen readers.
 * @param {BundleView} view */
function announce({ info, posterior }) {
  const predicted = posterior && prediction(info, posterior);
  const label = predicted?.reliable && predicted.label ? `Category ${predicted.label}, ` : "";
  byId("announcement").textContent = predicted ? label + predicted.text : "";
}

async function start() {
  const model = /** @type {Model} */ (await readJson("model.json"));
  const backend = await backendFor(model);
  let ready = false;
  /** @type {BundleView[]} */
  let views = [];
  const announceSoon = debounced(() => announce(views[0]), ANNOUNCE_DELAY_MS);
  const encodeAll = latest(async () => {
    const image = drawing.image();
    await Promise.all(views.map((view) => view.encode(image)));
    showBadge(views[0]);
    announceSoon();
  });
  const drawing = new Drawing(/** @type {HTMLCanvasElement} */ (byId("canvas")), () => {
    byId("hint").hidden = !drawing.empty;
    drawing.canvas.setAttribute("aria-label", drawing.empty ? "Drawing canvas, empty" : "Your image");
    if (!ready) return; // codes that a link says were edited stay so
    showProblem("");
    // Set now, not when the posterior arrives: codes that are edited until then stay edited.
    for (const view of views) view.following = true;
    encodeAll();
  });
  const writeSoon = debounced(() => void writeState(views, drawing), STATE_DELAY_MS);

  /** Show some bundles in place of those that are shown.
   * @param {Model} shown @param {Backend} by */
  const show = async (shown, by) => {
    ready = false;
    delete document.documentElement.dataset.ready;
    views = await makeViews(shown, by, () => ready && writeSoon(), (view) => void openNaming(view, async (names) => {
      await by.saveNames?.(view.index, names);
      await writeState(views, drawing);
      location.reload(); // the state is in the address
    }));
    fillCard(byId("card-body"), shown.bundles);
    await addExamples(shown, drawing);
    byId("boot").hidden = true;
    byId("main").hidden = false;
    byId("data").hidden = true;
    const { image } = views[0];
    if (shown.data) await showData(shown.bundles[0], (pixels) => {
      drawing.takePreprocessed(pixels, image);
      byId("drop").scrollIntoView({ block: "center" });
    });
  };
  const settle = async () => {
    await encodeAll();
    await Promise.all(views.map((view) => Promise.all([view.set(view.codes), view.interpolation.generate()])));
    ready = true;
    document.documentElement.dataset.ready = "1";
  };
  /** @type {[File[], string]} */
  let folder = [[], ""];
  // One after another: a folder that is shown late hides no problem of one that was opened after it.
  const showFolder = latest(async () => {
    const [files, name] = folder;
    try {
      if (model.inference === "server") throw new Error(`To open another bundle: infogan-tool explore ${name}`);
      const { info, noise, graphs, examples } = await readBundle(files, name);
      const { droppedBackend } = await import("./backend_browser.js");
      const by = await droppedBackend(info, noise, graphs[0], graphs[1]);
      drawing.clear();
      await show({ inference: "browser", noise_seed: null, dropped: { examples }, bundles: [info] }, by);
      await settle();
      showProblem("");
    } catch (error) {
      showProblem(error instanceof Error ? error.message : String(error));
    }
  });

  await show(model, backend);
  await readState(views, drawing);
  connectDrawing(drawing, (files, name) => {
    folder = [files, name];
    void showFolder();
  });
  connectKeys(() => views[0], drawing);
  connectHeader();
  connectTour();
  await settle();
}

if (new URLSearchParams(location.search).has("embed")) document.documentElement.dataset.embed = "1";
start().catch((error) => {
  byId("main").hidden = true;
  byId("boot").hidden = false;
  byId("boot").textContent = `The page cannot start: ${error instanceof Error ? error.message : error}`;
});
