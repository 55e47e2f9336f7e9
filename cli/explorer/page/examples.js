/** Ten digits of the MNIST test set as buttons, for bundles that were trained on MNIST. */

import { byId, element } from "./dom.js";
import { context } from "./images.js";

/** @typedef {import("./types.js").Model} Model */

/** @param {Model} model @param {(file: Blob) => void} onTake */
export async function addExamples(model, onTake) {
  const { training, image } = model.bundles[0].metadata;
  if (training.data?.name !== "mnist" || image.channels !== 1) return;
  const strip = new Image();
  strip.src = "examples.png";
  await strip.decode();
  const side = strip.height;
  for (let i = 0; i < strip.width / side; i++) {
    const canvas = element("canvas", "");
    canvas.width = canvas.height = side;
    context(canvas).drawImage(strip, -i * side, 0);
    const button = element("button", "", canvas);
    button.type = "button";
    button.setAttribute("aria-label", `Test image of a ${i}`);
    button.addEventListener("click", () => canvas.toBlob((blob) => blob && onTake(blob), "image/png"));
    byId("example-row").append(button);
  }
  byId("examples").hidden = false;
}
