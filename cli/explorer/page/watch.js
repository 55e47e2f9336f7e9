/** The page of a training: it asks for the run again and again, and shows its sheets and curves. */

import { drawChart } from "./charts.js";
import { byId } from "./dom.js";
import { showEffects } from "./effects.js";
import { latest } from "./latest.js";

/** @typedef {import("./types.js").Run} Run */
/** @typedef {import("./types.js").StageLog} StageLog */

const POLL_MS = 2000;
const PLAY_MS = 350;
/** A run whose metrics are older is taken to be stopped, seconds; several logging intervals of a slow training. */
const STOPPED_AFTER = 120;
const CURVES = { "Loss/D/adv": "D", "Loss/G/adv": "G", "Loss/Q/categorical": "Q, categorical", "Loss/Q/continuous": "Q, continuous" };
const SCORES = { "Scores/real": "D(real)", "Scores/fake_before_g": "D(fake) before G", "Scores/fake_after_g": "D(fake) after G" };

const slider = /** @type {HTMLInputElement} */ (byId("epoch"));
const follow = /** @type {HTMLInputElement} */ (byId("follow"));
const sheet = /** @type {HTMLImageElement} */ (byId("sheet"));
/** @type {Run | null} */
let run = null;
let received = "";
/** Step of the sheets that are shown. */
let shown = -1;
let playing = 0;

// --- the run -----------------------------------------------------------------------------------------------

async function poll() {
  try {
    const response = await fetch("run.json");
    const text = await response.text();
    if (!response.ok) throw new Error(JSON.parse(text).error);
    run = /** @type {Run} */ (JSON.parse(text));
    const changed = text.replace(/"age": [^,}]*/, "") !== received;
    received = text.replace(/"age": [^,}]*/, "");
    showState(run);
    if (changed) showRun(run);
  } catch (error) {
    const reason = error instanceof TypeError ? "The server has ended; this is the last state." : String(error);
    setState("lost", reason);
  }
  setTimeout(poll, document.hidden ? 4 * POLL_MS : POLL_MS);
}

/** @param {Run} found */
function showRun(found) {
  document.title = `${found.name} · InfoGAN training`;
  byId("title").textContent = found.name;
  const images = found.images ? ` (${found.images.toLocaleString("en")} images)` : "";
  const facts = [
    found.preset && `preset ${found.preset}`,
    found.data && `data ${found.data}${images}`,
    found.codes.length && `codes ${found.codes.map(({ name }) => name).join(", ")}`,
    found.device && `on ${found.device}`,
    found.checkpoints.length && `${found.checkpoints.length} kept checkpoint${found.checkpoints.length > 1 ? "s" : ""}`,
    found.unread && `${found.unread} unreadable line${found.unread > 1 ? "s" : ""} in metrics.jsonl`,
  ];
  byId("facts").textContent = facts.filter(Boolean).join(" · ");
  byId("next").textContent = `To use what was learned: infogan-tool export ${found.path} --out bundle`;
  const { layout } = found;
  const rows = layout?.row_code ? `rows: the categories of ${layout.row_code}; ` : "";
  const [low, high] = (layout?.ends ?? []).map((value) => String(value).replace("-", "−"));
  const columns = layout?.ends ? `${layout.code} from ${low} to ${high}` : `the categories of ${layout?.code}`;
  byId("sheet-axes").textContent = layout ? `${rows[0]?.toUpperCase() ?? ""}${rows.slice(1)}${rows ? "c" : "C"}olumns: ${columns}.` : "";
  slider.max = String(Math.max(0, found.sheets.length - 1));
  const some = found.sheets.length > 1;
  slider.disabled = /** @type {HTMLButtonElement} */ (byId("play")).disabled = !some;
  if (follow.checked && !playing) slider.value = slider.max;
  showSheet();
  showCurves();
}

/** @param {Run} found */
function showState(found) {
  const { plan, finished } = found;
  const stage = found.stages.at(-1);
  if (!stage) return setState("running", "No metrics yet.");
  const age = found.age ?? 0;
  const state = finished ? "finished" : age < STOPPED_AFTER ? "running" : "stopped";
  const bar = /** @type {HTMLProgressElement} */ (byId("progress"));
  const place = plan.findIndex(([name]) => name === stage.name);
  bar.hidden = finished || place < 0;
  if (finished) return setState(state, `Training complete after ${whole(stage.first_step + stage.steps)} steps.`);
  const total = plan[place]?.[1] ?? 0;
  bar.value = total ? stage.steps / total : 0;
  /** @param {number} length */
  const of = (length) => (total ? ` of ${whole(length)}` : "");
  const at = stage.epochs.findLast((value) => value !== null) ?? 0;
  const epochs = found.generator_stage === found.stages.length - 1 && stage.has_epochs;
  const texts = [
    plan.length > 1 && place >= 0 ? `stage ${place + 1} of ${plan.length}, ${stage.name}` : stage.name,
    epochs && `epoch ${tenths(at)}${of(tenths((at * total) / Math.max(1, stage.steps)))}`,
    `step ${whole(stage.steps)}${of(total)}`,
    stage.images_per_second && `${whole(Math.round(stage.images_per_second))} images/s`,
    state === "running" ? `last update ${duration(age)} ago` : `no update for ${duration(age)}: the training was stopped, or is slow`,
  ];
  setState(state, texts.filter(Boolean).join(" · "));
}

/** @param {number} value */
const tenths = (value) => Math.round(value * 10) / 10;
/** @param {number} count */
const whole = (count) => count.toLocaleString("en");

/** @param {string} state @param {string} text */
function setState(state, text) {
  byId("state").dataset.state = state;
  byId("state-text").textContent = text;
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  if (minutes < 90) return `${Math.round(minutes)} min`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 60 / 24)} days`;
}

// --- sheets ------------------------------------------------------------------------------------------------

/** @param {[number, number | null]} sheet */
const caption = ([step, epoch]) => (epoch === null ? `step ${step.toLocaleString("en")}` : `epoch ${tenths(epoch)}`);

function showSheet() {
  const chosen = run?.sheets[Number(slider.value)];
  byId("no-sheet").hidden = Boolean(chosen);
  sheet.hidden = byId("player").hidden = byId("follow-line").hidden = !chosen;
  if (!chosen) return;
  byId("epoch-text").textContent = caption(chosen);
  slider.setAttribute("aria-valuetext", caption(chosen));
  if (chosen[0] === shown) return;
  shown = chosen[0];
  sheet.src = `step/${shown}.png`;
  sheet.alt = `Samples at ${caption(chosen)}`;
  refreshEffects();
}

const refreshEffects = latest(async () => {
  if (!run?.layout) return;
  const before = run.code_sheets.filter((step) => step <= shown);
  const step = before.at(-1) ?? run.code_sheets[0];
  byId("no-effects").hidden = step !== undefined;
  if (step !== undefined) await showEffects(byId("effects"), run, step).catch(() => undefined);
});

slider.addEventListener("input", () => {
  stop();
  follow.checked = slider.value === slider.max;
  showSheet();
  showCurves();
});
follow.addEventListener("change", () => {
  if (follow.checked) slider.value = slider.max;
  showSheet();
  showCurves();
});

function stop() {
  clearInterval(playing);
  playing = 0;
  byId("play").textContent = "Play";
}

byId("play").addEventListener("click", () => {
  if (playing) return stop();
  if (slider.value === slider.max) slider.value = "0";
  follow.checked = false;
  byId("play").textContent = "Pause";
  playing = window.setInterval(() => {
    slider.value = String(Number(slider.value) + 1);
    if (slider.value === slider.max) stop();
    showSheet();
    showCurves();
  }, PLAY_MS);
  showSheet();
});

// --- curves ------------------------------------------------------------------------------------------------

function showCurves() {
  if (!run) return;
  const stage = run.generator_stage === null ? null : run.stages[run.generator_stage];
  byId("stages-panel").hidden = run.stages.every((one) => one === stage);
  if (stage) showGeneratorStage(run, stage);
  showStages(run.stages.filter((one) => one !== stage));
}

/** @param {Run} found @param {StageLog} stage */
function showGeneratorStage(found, stage) {
  const chosen = found.sheets[Number(slider.value)];
  const at = chosen && !follow.checked ? chosen[1] : null;
  const axis = { x: stage.epochs, xName: stage.has_epochs ? "epoch" : "step", at };
  /** @param {Record<string, string>} names */
  const named = (names) =>
    Object.entries(names).flatMap(([key, name]) => (key in stage.scalars ? { name, values: stage.scalars[key] } : []));
  // The loss of a kind of code that the run does not have is logged as 0.
  const losses = named(CURVES).filter(({ values }) => values.some(Boolean));
  const others = Object.keys(stage.scalars).filter((key) => key.startsWith("Loss/") && !(key in CURVES));
  losses.push(...named(Object.fromEntries(others.map((key) => [key, key.slice(5).replaceAll("/", ", ")]))));
  drawChart(byId("losses"), { ...axis, series: losses.slice(0, 6) }, "Losses");
  drawChart(byId("scores"), { ...axis, series: named(SCORES), low: 0, high: 1, middle: 0.5 }, "Mean probabilities of the discriminator");
  const information = found.codes.flatMap(({ name, entropy }) => {
    const values = stage.scalars[`MI/${name}`];
    return values ? { name, values, reference: entropy } : [];
  });
  drawChart(byId("information"), { ...axis, series: information.slice(0, 6) }, "Information of each code");
}

/** @param {StageLog[]} stages */
function showStages(stages) {
  const root = byId("stages");
  while (root.children.length < stages.length) root.append(document.createElement("div"));
  stages.forEach((stage, i) => {
    const names = Object.keys(stage.scalars);
    const losses = names.filter((name) => name.startsWith("Loss/"));
    const series = (losses.length ? losses : names.filter((name) => name.startsWith("MI/"))).map((name) => {
      return { name: `${stage.name}: ${name.slice(name.indexOf("/") + 1)}`, values: stage.scalars[name] };
    });
    const chart = { x: stage.epochs, xName: stage.has_epochs ? "epoch" : "step", series: series.slice(0, 6), at: null };
    drawChart(/** @type {HTMLElement} */ (root.children[i]), chart, `Losses of ${stage.name}`);
  });
}

void poll();
