/** The image, what is generated from its codes, and their difference. */

import { paint } from "./images.js";

/** @typedef {import("./types.js").ImageSpec} ImageSpec */

/** @param {Record<string, HTMLElement>} parts @param {Uint8Array} input @param {Uint8Array} output
 * @param {ImageSpec} image */
export function showReconstruction(parts, input, output, image) {
  /** @param {string} part */
  const canvas = (part) => /** @type {HTMLCanvasElement} */ (parts[part]);
  const difference = input.map((value, i) => Math.abs(value - output[i]));
  paint(canvas("again-input"), input, image);
  paint(canvas("again-output"), output, image);
  paint(canvas("again-difference"), difference, image);
  const mean = difference.reduce((sum, value) => sum + value, 0) / difference.length / 255;
  const text = `Mean difference ${(100 * mean).toFixed(1)} % of the range from black to white.`;
  parts["again-text"].textContent = text;
}
