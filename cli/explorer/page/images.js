/** Generated images on canvases, and canvases as files. */

/** @typedef {import("./types.js").ImageSpec} ImageSpec */
/** @typedef {import("./types.js").InputImage} InputImage */

const GAP = 2;

/** Bytes of one image.
 * @param {ImageSpec} image */
export const imageBytes = (image) => image.size * image.size * image.channels;

/** Whether an image is preprocessed already, for a bundle of this spec.
 * @param {InputImage} given @param {ImageSpec} image
 * @returns {given is Extract<InputImage, {kind: "preprocessed"}>} */
export const isPreprocessedFor = (given, image) =>
  given.kind === "preprocessed" &&
  given.size === image.size &&
  given.channels === image.channels &&
  JSON.stringify(given.preprocessing) === JSON.stringify(image.preprocessing);

/** Convert uint8 (H, W, C) for a canvas.
 * @param {Uint8Array} pixels @param {Pick<ImageSpec, "size" | "channels">} image
 * @param {number} [index] which of several images */
export function imageData(pixels, image, index = 0) {
  const count = image.size * image.size;
  const start = index * count * image.channels;
  const data = new Uint8ClampedArray(count * 4);
  for (let i = 0; i < count; i++) {
    for (let c = 0; c < 3; c++) {
      data[4 * i + c] = pixels[start + i * image.channels + (image.channels === 3 ? c : 0)];
    }
    data[4 * i + 3] = 255;
  }
  return new ImageData(data, image.size, image.size);
}

/** @param {HTMLCanvasElement} canvas @param {CanvasRenderingContext2DSettings} [settings] */
export function context(canvas, settings) {
  const found = canvas.getContext("2d", settings);
  if (!found) throw new Error("This browser has no canvas.");
  return found;
}

/** Show one image; the canvas gets the image's own size, and the style sheet enlarges it.
 * @param {HTMLCanvasElement} canvas @param {Uint8Array} pixels @param {ImageSpec} image @param {number} [index] */
export function paint(canvas, pixels, image, index = 0) {
  if (canvas.width !== image.size || canvas.height !== image.size) {
    canvas.width = canvas.height = image.size;
  }
  context(canvas).putImageData(imageData(pixels, image, index), 0, 0);
}

/** Show several images in rows, edge to edge or with a gap.
 * @param {HTMLCanvasElement} canvas @param {Uint8Array} pixels @param {ImageSpec} image
 * @param {number[]} which the image at each place @param {number} columns @param {number} [gap] */
export function paintGrid(canvas, pixels, image, which, columns, gap = 0) {
  const rows = Math.ceil(which.length / columns);
  canvas.width = columns * (image.size + gap) - gap;
  canvas.height = rows * (image.size + gap) - gap;
  const target = context(canvas);
  which.forEach((index, place) => {
    const [x, y] = [place % columns, Math.floor(place / columns)];
    target.putImageData(imageData(pixels, image, index), x * (image.size + gap), y * (image.size + gap));
  });
}

/** A sheet of images on white, each pixel enlarged, as a PNG.
 * @param {Uint8Array} pixels @param {ImageSpec} image @param {number[]} which @param {number} columns */
export async function sheetPng(pixels, image, which, columns) {
  const small = document.createElement("canvas");
  paintGrid(small, pixels, image, which, columns, which.length > 1 ? GAP : 0);
  const scale = Math.max(1, Math.round((which.length > 1 ? 112 : 280) / image.size));
  const large = document.createElement("canvas");
  large.width = small.width * scale;
  large.height = small.height * scale;
  const target = context(large);
  target.fillStyle = "white";
  target.fillRect(0, 0, large.width, large.height);
  target.imageSmoothingEnabled = false;
  target.drawImage(small, 0, 0, large.width, large.height);
  return new Promise((/** @type {(png: Blob) => void} */ done, failed) => {
    large.toBlob((blob) => (blob ? done(blob) : failed(new Error("the image is too large"))), "image/png");
  });
}

/** Save a file through the browser's download.
 * @param {string} name @param {Blob} content */
export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** @param {string} name @param {unknown} value */
export function saveJson(name, value) {
  save(name, new Blob([JSON.stringify(value, null, 2) + "\n"], { type: "application/json" }));
}
