/** Puts the page together: who answers, what is drawn, and one lab for each bundle. */

import { fillCard } from "./card.js";
import { verdict } from "./codes.js";
import { Drawing } from "./drawing.js";
import { addExamples } from "./examples.js";
import { Lab, latest } from "./lab.js";
import { codesFromText, codesToText, deflate, fromBase64, toBase64 } from "./link.js";
import { pictureBytes } from "./pictures.js";
import { serverBackend } from "./backend_server.js";

/** @typedef {import("./types.js").Backend} Backend */
/** @typedef {import("./types.js").Model} Model */

const STATE_DELAY_MS = 300;
const SAY_DELAY_MS = 700;
/** Pictures larger than this are left out of links. */
const MAX_LINK_PICTURE = 4096;
const MAX_FILE = 16 * 1024 * 1024;

/** @param {string} id */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} text */
function problem(text) {
  const line = byId("problem");
  if (line.textContent !== text) line.textContent = text;
  line.hidden = !text;
}

/** Call once things have been quiet for a while.
 * @param {() => void} work @param {number} delay */
function quietly(work, delay) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(work, delay);
  };
}

/** @param {Model} model @returns {Promise<Backend>} */
async function backendFor(model) {
  if (model.inference === "server") return serverBackend(model.bundles);
  byId("where").textContent = "in this browser";
  const { browserBackend } = await import("./backend_browser.js");
  return browserBackend(model.bundles);
}

/** @param {Model} model @param {Backend} backend @param {() => void} onState */
async function makeLabs(model, backend, onState) {
  const template = /** @type {HTMLTemplateElement} */ (byId("lab-template"));
  const together = /** @type {HTMLInputElement} */ (byId("together"));
  const compared = model.bundles.length > 1;
  byId("main").classList.toggle("compared", compared);
  /** @type {Lab[]} */
  const labs = [];
  const same = model.bundles.every(
    (info) => JSON.stringify(info.metadata.latent) === JSON.stringify(model.bundles[0].metadata.latent),
  );
  byId("together-line").hidden = !(compared && same);
  for (const [index, info] of model.bundles.entries()) {
    const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    const root = /** @type {HTMLElement} */ (copy.firstElementChild);
    const title = /** @type {HTMLElement} */ (root.querySelector(".lab-title"));
    title.textContent = info.name;
    title.hidden = !compared;
    root.setAttribute("aria-label", `Bundle ${info.name}`);
    byId("labs").append(root);
    labs.push(
      new Lab(info, index, root, {
        backend,
        noiseSeed: model.noise_seed,
        noises: await backend.noise(index),
        onState,
        onProblem: problem,
        onSay: () => undefined,
        onTurned: (turned) => {
          if (!same || !together.checked) return;
          for (const lab of labs) {
            if (lab === turned) continue;
            lab.following = turned.following;
            lab.set({ ...turned.codes });
          }
        },
      }),
    );
  }
  return labs;
}

/** @param {Drawing} drawing */
function wireDrawing(drawing) {
  const file = /** @type {HTMLInputElement} */ (byId("file"));
  const drop = byId("drop");
  /** @param {Blob | null | undefined} given */
  const take = (given) => {
    if (!given) return;
    if (given.size > MAX_FILE) problem(`The file has more than ${MAX_FILE / 1024 / 1024} MB.`);
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
    take(event.dataTransfer?.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    take(files.find((one) => one.type.startsWith("image/")));
  });
}

/** @param {Lab[]} labs @param {Drawing} drawing */
function wireKeys(labs, drawing) {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.matches("select, textarea, input:not([type=range], [type=radio], [type=checkbox])");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    if (key === "z") drawing.undo();
    if (key === "n") labs[0].newNoise();
    if (key === "r") labs[0].random();
  });
}

/** @param {Model} model */
function wireCard(model) {
  const card = /** @type {HTMLDialogElement} */ (byId("card"));
  fillCard(byId("card-body"), model.bundles);
  byId("open-card").addEventListener("click", () => card.showModal());
  byId("close-card").addEventListener("click", () => card.close());
  card.addEventListener("click", (event) => {
    if (event.target === card) card.close();
  });
}

function wireLink() {
  const button = byId("copy-link");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "It is in the address bar";
    }
    setTimeout(() => (button.textContent = "Copy link"), 2000);
  });
}

/** Write the page's state into its address.
 * @param {Lab[]} labs @param {Drawing} drawing */
async function writeState(labs, drawing) {
  const state = new URLSearchParams();
  labs.forEach((lab, i) => {
    state.set(`codes${i}`, codesToText(lab.codes));
    state.set(`from${i}`, codesToText(lab.walk.from));
    state.set(`to${i}`, codesToText(lab.walk.to));
    if (!lab.following) state.set(`turned${i}`, "1");
  });
  const seen = labs[0].reading?.seen;
  if (drawing.strokes.length) state.set("ink", drawing.strokesToText());
  else if (drawing.given && seen && seen.length <= MAX_LINK_PICTURE) {
    state.set("seen", toBase64(await deflate(seen, "compress")));
  }
  // Commas, dots and tildes may stand in an address as they are.
  history.replaceState(null, "", `#${state.toString().replaceAll("%2C", ",").replaceAll("%7E", "~")}`);
}

/** @param {Lab[]} labs @param {Drawing} drawing */
async function readState(labs, drawing) {
  const state = new URLSearchParams(location.hash.slice(1));
  const ink = state.get("ink");
  const seen = fromBase64(state.get("seen") ?? "");
  const { image } = labs[0].info.metadata;
  if (ink) drawing.strokesFromText(ink);
  else if (seen?.length && seen.length <= MAX_LINK_PICTURE) {
    const pixels = await deflate(seen, "expand").catch(() => null);
    if (pixels?.length === pictureBytes(image)) drawing.takeSeen(pixels, image);
  }
  for (const [i, lab] of labs.entries()) {
    lab.walk.from = codesFromText(state.get(`from${i}`), lab.info) ?? lab.walk.from;
    lab.walk.to = codesFromText(state.get(`to${i}`), lab.info) ?? lab.walk.to;
    lab.following = !state.get(`turned${i}`);
    lab.codes = codesFromText(state.get(`codes${i}`), lab.info) ?? lab.codes;
  }
}

/** The answer on the drawing surface, for screens too small to show the codes beside it.
 * @param {Lab} lab */
function showBadge({ info, reading }) {
  const badge = byId("badge");
  const told = reading && verdict(info, reading);
  badge.hidden = !told?.answer;
  badge.textContent = told?.answer ?? "";
}

async function start() {
  const response = await fetch("model.json");
  if (!response.ok) throw new Error(`model.json: ${response.status}`);
  const model = /** @type {Model} */ (await response.json());
  const backend = await backendFor(model);
  let ready = false;
  /** @type {Lab[]} */
  let labs = [];
  const say = quietly(() => {
    const [{ info, reading }] = labs;
    const told = reading && verdict(info, reading);
    byId("said").textContent = told ? (told.sure ? `Read as ${told.answer}, ${told.text}` : told.text) : "";
  }, SAY_DELAY_MS);
  const readAll = latest(async () => {
    const picture = drawing.picture();
    await Promise.all(labs.map((lab) => lab.read(picture)));
    showBadge(labs[0]);
    say();
  });
  const drawing = new Drawing(/** @type {HTMLCanvasElement} */ (byId("ink")), () => {
    byId("hint").hidden = !drawing.empty;
    drawing.canvas.setAttribute("aria-label", drawing.empty ? "Drawing surface, empty" : "Your picture");
    if (!ready) return; // what a link says was turned stays turned
    // From now on, not when the answer comes: what is turned until then stays turned.
    for (const lab of labs) lab.following = true;
    readAll();
  });
  const remember = quietly(() => void writeState(labs, drawing), STATE_DELAY_MS);
  labs = await makeLabs(model, backend, () => ready && remember());
  await readState(labs, drawing);
  wireDrawing(drawing);
  wireKeys(labs, drawing);
  wireCard(model);
  wireLink();
  addExamples(model, (file) => drawing.take(file));
  byId("boot").hidden = true;
  byId("main").hidden = false;
  await readAll();
  await Promise.all(labs.map((lab) => Promise.all([lab.set(lab.codes), lab.walk.draw()])));
  ready = true;
  document.documentElement.dataset.ready = "1";
}

start().catch((error) => {
  byId("boot").textContent = `The page cannot start: ${error instanceof Error ? error.message : error}`;
});
