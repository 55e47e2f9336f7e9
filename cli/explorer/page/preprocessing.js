/** Preprocessing in the browser, for the static site: drawings, and images on an even background.
 *
 * On these it computes what runtime/preprocessing computes. Anything else needs the server.
 */

import { centreForeground, matchesPreprocessing } from "./centred_foreground.js";
import { bestChannel, cutForeground, isOnEvenBackground } from "./foreground.js";
import { borderLevel, luminance, toGrey } from "./planes.js";
import { BICUBIC, BOX, resizeTo } from "./resample.js";

/** @typedef {import("./types.js").ImageSpec} ImageSpec */
/** @typedef {import("./planes.js").Plane} Plane */
/** Bytes of grey, or of red, green, blue and opacity, pixel by pixel.
 * @typedef {{width: number, height: number, channels: number, data: Uint8Array}} Pixels */

/** The longer side of the image in which the foreground is searched, at most. */
const WORK = 768;
/** Longer side by shorter side of an image, at most; the runtime's estimate of a strip's background is not even. */
const MOST_ASPECT = 4;

/** Return the encoder's input, uint8 (H, W, C); null where the background is not even.
 * Where no foreground is found, the image is padded and resized, as the runtime does.
 * @param {Pixels} pixels @param {ImageSpec} image @returns {Uint8Array | null} */
export function preprocess(pixels, image) {
  const planes = opaque(pixels);
  if (!image.preprocessing) return fit(planes, image);
  const { width, height } = pixels;
  if (width === image.size && height === image.size) {
    const values = toGrey(planes).data;
    if (matchesPreprocessing(values, image.size, image.preprocessing)) return values;
  }
  if (Math.max(width, height) > MOST_ASPECT * Math.min(width, height)) return null;
  const work = Math.max(width, height) > WORK ? planes.map((plane) => resizeTo(plane, WORK, BOX)) : planes;
  const grey = bestChannel(work);
  if (!isOnEvenBackground(grey)) return null;
  const foreground = cutForeground(grey);
  return foreground ? centreForeground(foreground, image.size, image.preprocessing) : fit(planes, image);
}

/** Planes of grey, or of red, green and blue; transparent parts on white, or on black where the rest is light.
 * @param {Pixels} pixels @returns {Plane[]} */
function opaque({ width, height, channels, data }) {
  if (channels === 1) return [{ width, height, data }];
  let [light, weight] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    light += luminance(data[i], data[i + 1], data[i + 2]) * data[i + 3];
    weight += data[i + 3];
  }
  const background = light > 127.5 * weight ? 0 : 255;
  return [0, 1, 2].map((channel) => {
    const plane = new Uint8Array(width * height);
    for (let i = 0; i < plane.length; i++) {
      const opacity = data[4 * i + 3];
      const mixed = data[4 * i + channel] * opacity * 128 + background * (255 - opacity) * 128 + (0x80 << 7);
      plane[i] = opacity ? (((mixed >> 8) + mixed) >> 8) >> 7 : background;
    }
    return { width, height, data: plane };
  });
}

/** Pad to a square and resize.
 * @param {Plane[]} planes @param {ImageSpec} image */
function fit(planes, { size, channels }) {
  const small = planes.map((plane) => resizeTo(plane, size, BICUBIC));
  const given = channels === 1 ? [toGrey(small)] : small.length === 1 ? [small[0], small[0], small[0]] : small;
  const { width, height } = small[0];
  const [top, left] = [Math.floor((size - height) / 2), Math.floor((size - width) / 2)];
  const square = new Uint8Array(size * size * channels);
  given.forEach(({ data }, c) => {
    const background = width === height ? 0 : borderLevel({ width, height, data });
    for (let i = 0; i < size * size; i++) square[i * channels + c] = background;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) square[((top + y) * size + left + x) * channels + c] = data[y * width + x];
    }
  });
  return square;
}
