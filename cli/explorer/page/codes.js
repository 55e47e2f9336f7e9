/** The codes of one picture as things to turn: a button for each category, a slider for each style. */

import { paint } from "./pictures.js";

/** @typedef {import("./types.js").BundleInfo} BundleInfo */
/** @typedef {import("./types.js").Reading} Reading */

/** How far the sliders and the map go; training draws styles from -1 to 1. */
export const REACH = 2;
/** Below this probability the page does not claim to know. */
export const SURE = 0.8;
const HUES = 4;
let groups = 0;

/** @param {BundleInfo} info @param {number} code @param {number} index */
export function categoryName(info, code, index) {
  return info.metadata.labels[info.codes.categorical[code]]?.[index] ?? `#${index}`;
}

/** Categories in the order of their names, which is not that of their numbers.
 * @param {BundleInfo} info @param {number} code @returns {number[]} */
export function inOrder(info, code) {
  const names = info.metadata.latent.categorical[code];
  const order = [...Array(names).keys()];
  const compare = new Intl.Collator(undefined, { numeric: true }).compare;
  return order.sort((a, b) => compare(categoryName(info, code, a), categoryName(info, code, b)) || a - b);
}

/** @param {BundleInfo} info @param {number} code */
export function styleName(info, code) {
  const name = info.codes.continuous[code];
  return info.metadata.style_names[name] ?? name;
}

/** @param {number} code */
export const hue = (code) => `hue-${code % HUES}`;

/** @param {number} share */
export const percent = (share) => (share > 0.995 ? ">99 %" : `${Math.round(share * 100)} %`);

/** @param {number} value */
export const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

/** What the encoder says, for people: the best category of the first code, and whether to believe it.
 * @param {BundleInfo} info @param {Reading} reading */
export function verdict(info, reading) {
  const table = reading.probabilities[0];
  if (!table) {
    const sure = reading.ood !== true;
    return { sure, answer: "", text: sure ? "Read." : "Out of distribution: unlike the training images." };
  }
  const order = [...table.keys()].sort((a, b) => table[b] - table[a]);
  const [first, second] = order.map((index) => categoryName(info, 0, index));
  const best = table[order[0]];
  if (reading.ood) {
    return { sure: false, answer: "?", text: `Out of distribution: unlike the training images. Most probable: ${first}.` };
  }
  if (best < SURE) {
    const runnerUp = table[order[1]];
    return { sure: false, answer: "?", text: `Low confidence: ${first} (${percent(best)}) or ${second} (${percent(runnerUp)}).` };
  }
  return { sure: true, answer: first, text: `${percent(best)} sure` };
}

/** A group of buttons with a bar each.
 * @param {BundleInfo} info @param {number} code @param {(index: number) => void} onPick */
export function categoryGroup(info, code, onPick) {
  const name = info.codes.categorical[code];
  const group = document.createElement("fieldset");
  group.className = "categories";
  const legend = document.createElement("legend");
  legend.append(code === 0 ? "What it is" : "Also", tag(name));
  group.append(legend);
  const list = document.createElement("div");
  list.className = "category-list";
  group.append(list);
  const radios = `category-${groups++}`;
  /** @type {Map<number, {input: HTMLInputElement, label: HTMLElement, share: HTMLElement}>} */
  const rows = new Map();
  for (const index of inOrder(info, code)) {
    const label = document.createElement("label");
    label.className = "category";
    const input = document.createElement("input");
    input.type = "radio";
    input.name = radios;
    input.value = String(index);
    input.addEventListener("change", () => onPick(index));
    const text = document.createElement("span");
    text.className = "category-name";
    text.textContent = categoryName(info, code, index);
    const bar = document.createElement("span");
    bar.className = "bar";
    const share = document.createElement("span");
    share.className = "share";
    label.append(input, text, bar, share);
    list.append(label);
    rows.set(index, { input, label, share });
  }
  return {
    element: group,
    /** @param {number} chosen @param {number[] | null} shares */
    show(chosen, shares) {
      for (const [index, { input, label, share }] of rows) {
        input.checked = index === chosen;
        label.style.setProperty("--share", String(shares ? shares[index] : 0));
        share.textContent = shares ? percent(shares[index]) : "";
      }
    },
  };
}

/** A slider with what was read on its track and the pictures of its two ends beside it.
 * @param {BundleInfo} info @param {number} code @param {(value: number) => void} onTurn */
export function styleSlider(info, code, onTurn) {
  const element = document.createElement("div");
  element.className = `style ${hue(code)}`;
  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: String(-REACH), max: String(REACH), step: "0.01" });
  input.setAttribute("aria-label", `${styleName(info, code)}, ${info.codes.continuous[code]}`);
  input.addEventListener("input", () => onTurn(Number(input.value)));
  const head = document.createElement("div");
  head.className = "style-head";
  const value = document.createElement("output");
  const title = document.createElement("span");
  title.className = "style-name";
  title.append(styleName(info, code));
  if (info.metadata.style_names[info.codes.continuous[code]]) title.append(tag(info.codes.continuous[code]));
  head.append(title, value);
  const track = document.createElement("div");
  track.className = "track";
  const [trained, band, mark] = ["trained", "band", "mark"].map((kind) => {
    const part = document.createElement("span");
    part.className = kind;
    track.append(part);
    return part;
  });
  trained.title = "what training drew from";
  track.append(input);
  const ends = [0, 1].map(() => {
    const canvas = document.createElement("canvas");
    canvas.className = "end";
    canvas.setAttribute("aria-hidden", "true");
    return canvas;
  });
  const row = document.createElement("div");
  row.className = "style-row";
  row.append(ends[0], track, ends[1]);
  const note = document.createElement("p");
  note.className = "style-note";
  element.append(head, row, note);
  return {
    element,
    /** @param {number} turned @param {Reading | null} reading */
    show(turned, reading) {
      input.value = String(turned);
      input.setAttribute("aria-valuetext", signed(turned));
      value.textContent = signed(turned);
      band.hidden = mark.hidden = !reading;
      note.textContent = reading
        ? `read from the picture: ${signed(reading.mean[code])} ± ${reading.std[code].toFixed(2)}`
        : "training drew from −1 to 1";
      if (!reading) return;
      const [mean, std] = [reading.mean[code], reading.std[code]];
      band.style.setProperty("--from", String(share(mean - 2 * std)));
      band.style.setProperty("--to", String(share(mean + 2 * std)));
      mark.style.setProperty("--from", String(share(mean)));
    },
    /** @param {Uint8Array} pixels @param {number} first the picture of the low end; the next is the high end's */
    showEnds(pixels, first) {
      ends.forEach((canvas, i) => paint(canvas, pixels, info.metadata.image, first + i));
    },
  };
}

/** Where a style lies between the ends, from 0 to 1.
 * @param {number} value */
export const share = (value) => Math.max(0, Math.min(1, (value + REACH) / (2 * REACH)));

/** @param {string} text */
function tag(text) {
  const element = document.createElement("span");
  element.className = "tag";
  element.textContent = text;
  return element;
}
