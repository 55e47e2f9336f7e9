/** Ten real digits of the MNIST test set, for who has no pen at hand; only where they are what was trained on. */

import { context } from "./pictures.js";

/** @typedef {import("./types.js").Model} Model */

const COUNT = 10;

/** @param {Model} model @param {(file: Blob) => void} onTake */
export async function addExamples(model, onTake) {
  const { training, image } = model.bundles[0].metadata;
  if (training.data?.name !== "mnist" || image.channels !== 1) return;
  const strip = new Image();
  strip.src = "examples.png";
  await strip.decode();
  const side = strip.height;
  for (let i = 0; i < COUNT; i++) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    context(canvas).drawImage(strip, -i * side, 0);
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `A real ${i}`);
    button.append(canvas);
    button.addEventListener("click", () => canvas.toBlob((blob) => blob && onTake(blob), "image/png"));
    const row = document.getElementById("example-row");
    row?.append(button);
  }
  const panel = document.getElementById("examples");
  if (panel) panel.hidden = false;
}
