/** Example images as buttons: those that the bundle carries, or ten digits for one that was trained on MNIST. */

import { byId, element } from "./dom.js";
import { readFile } from "./files.js";
import { context } from "./images.js";

/** @typedef {import("./types.js").Model} Model */
/** @typedef {import("./drawing.js").Drawing} Drawing */

/** @param {Model} model @param {Drawing} drawing */
export async function addExamples(model, drawing) {
  const { training, image, examples } = model.bundles[0].metadata;
  const own = Boolean(examples);
  const available = own || (training.data?.name === "mnist" && image.channels === 1);
  byId("example-row").replaceChildren();
  byId("examples").hidden = !available;
  if (!available) return;
  byId("examples-title").textContent = own ? "or use an example image" : "or use a test image";
  const dropped = own && model.dropped?.examples;
  const file = dropped || (await readFile(own ? "bundles/0/examples.png" : "examples.png"));
  const strip = await createImageBitmap(new Blob([file], { type: "image/png" }));
  const side = strip.height;
  for (let i = 0; i < strip.width / side; i++) {
    const canvas = element("canvas", "");
    canvas.width = canvas.height = side;
    const target = context(canvas, { willReadFrequently: true });
    target.drawImage(strip, -i * side, 0);
    const button = element("button", "", canvas);
    button.type = "button";
    button.setAttribute("aria-label", own ? `Example image ${i + 1}` : `Test image of a ${i}`);
    button.addEventListener("click", () => {
      // The bundle's own images are preprocessed already.
      if (own) drawing.takePreprocessed(pixelsOf(target, side, image.channels), image);
      else canvas.toBlob((blob) => blob && drawing.take(blob), "image/png");
    });
    byId("example-row").append(button);
  }
}

/** uint8 (H, W, C).
 * @param {CanvasRenderingContext2D} target @param {number} side @param {number} channels */
function pixelsOf(target, side, channels) {
  const { data } = target.getImageData(0, 0, side, side);
  return Uint8Array.from({ length: side * side * channels }, (_, i) => data[4 * Math.floor(i / channels) + (i % channels)]);
}
