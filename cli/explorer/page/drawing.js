/** The canvas on which an image is drawn, dropped or pasted. */

import { context, paint } from "./images.js";
import { fromBase64, toBase64 } from "./link.js";
import { followPointer, placeOn } from "./pointer.js";

/** @typedef {import("./types.js").InputImage} InputImage */
/** @typedef {import("./types.js").ImageSpec} ImageSpec */
/** @typedef {{pen: number, points: [number, number][]}} Stroke */

const BACKGROUND = "#000";
const INK = "#fff";
const STEP = 2;
/** Bytes of strokes in a link, at most, so that a link cannot keep the page busy. */
const MAX_LINK_BYTES = 20_000;

/** Decode an image file; null where the browser does not know its format.
 * @param {Blob} file */
export async function decode(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return null;
  }
}

export class Drawing {
  /** @param {HTMLCanvasElement} canvas @param {() => void} onChange */
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.pen = 25;
    /** @type {Stroke[]} */
    this.strokes = [];
    /** What was dropped, opened or pasted; the next stroke replaces it.
     * @type {Extract<InputImage, {kind: "file" | "preprocessed"}> | null} */
    this.given = null;
    this.onChange = onChange;
    this.target = context(canvas, { willReadFrequently: true });
    this.wipe();
    canvas.addEventListener("pointerdown", (event) => this.start(event));
  }

  get empty() {
    return !this.given && !this.strokes.length;
  }

  /** The encoder's image; null where there is none.
   * @returns {InputImage | null} */
  image() {
    if (this.given) return this.given;
    if (!this.strokes.length) return null;
    const { width, height } = this.canvas;
    const rgba = this.target.getImageData(0, 0, width, height).data;
    const pixels = new Uint8Array(width * height);
    for (let i = 0; i < pixels.length; i++) pixels[i] = rgba[4 * i];
    return { kind: "drawing", width, height, pixels };
  }

  clear() {
    this.replace(null);
    this.onChange();
  }

  /** @param {Drawing["given"]} given */
  replace(given) {
    this.strokes = [];
    this.given = given;
    this.wipe();
  }

  undo() {
    if (this.given) return this.clear();
    this.strokes.pop();
    this.redraw();
    this.onChange();
  }

  /** Replace the drawing by an image file.
   * @param {Blob} file */
  async take(file) {
    /** @type {Drawing["given"]} */
    const given = { kind: "file", file };
    this.replace(given);
    const bitmap = await decode(file);
    const current = this.given === given; // not replaced meanwhile
    if (bitmap && current) this.show(bitmap, bitmap.width, bitmap.height);
    bitmap?.close();
    if (current) this.onChange();
  }

  /** Replace the drawing by an image that is preprocessed already.
   * @param {Uint8Array} pixels @param {ImageSpec} image */
  takePreprocessed(pixels, image) {
    const { size, channels, preprocessing } = image;
    this.replace({ kind: "preprocessed", size, channels, preprocessing, pixels });
    const small = document.createElement("canvas");
    paint(small, pixels, image);
    this.show(small, image.size, image.size);
    this.onChange();
  }

  /** @returns {string} the strokes, for a link */
  strokesToText() {
    /** @type {number[]} */
    const bytes = [];
    const { width, height } = this.canvas;
    for (const { pen, points } of this.strokes) {
      for (let start = 0; start < points.length; start += 254) {
        const part = points.slice(start, start + 255); // one point in common, so that the parts join
        bytes.push(pen, part.length);
        for (const [x, y] of part) bytes.push(toByte(x, width), toByte(y, height));
      }
    }
    return toBase64(Uint8Array.from(bytes));
  }

  /** @param {string} text */
  strokesFromText(text) {
    const bytes = fromBase64(text);
    if (!bytes || bytes.length > MAX_LINK_BYTES) return;
    const { width, height } = this.canvas;
    this.replace(null);
    for (let at = 0; at + 4 <= bytes.length; ) {
      const [pen, count] = [Math.max(1, bytes[at]), bytes[at + 1]];
      /** @type {[number, number][]} */
      const points = [];
      for (let i = 0; i < count && at + 3 + 2 * i < bytes.length; i++) {
        points.push([(bytes[at + 2 + 2 * i] / 255) * width, (bytes[at + 3 + 2 * i] / 255) * height]);
      }
      if (points.length) this.strokes.push({ pen, points });
      at += 2 + 2 * count;
    }
    this.redraw();
    this.onChange();
  }

  wipe() {
    this.target.fillStyle = BACKGROUND;
    this.target.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** @param {CanvasImageSource} source @param {number} width @param {number} height */
  show(source, width, height) {
    const scale = Math.min(this.canvas.width / width, this.canvas.height / height);
    const [w, h] = [width * scale, height * scale];
    this.target.imageSmoothingEnabled = scale < 1;
    this.target.drawImage(source, (this.canvas.width - w) / 2, (this.canvas.height - h) / 2, w, h);
  }

  redraw() {
    this.wipe();
    for (const stroke of this.strokes) this.paintStroke(stroke, 0);
  }

  /** @param {Stroke} stroke @param {number} from first point that is new */
  paintStroke({ pen, points }, from) {
    const target = this.target;
    target.strokeStyle = INK;
    target.lineWidth = pen;
    target.lineCap = target.lineJoin = "round";
    target.beginPath();
    const first = points[Math.max(0, from - 1)];
    target.moveTo(first[0], first[1]);
    if (points.length === 1) target.lineTo(first[0], first[1] + 0.01);
    for (const [x, y] of points.slice(Math.max(1, from))) target.lineTo(x, y);
    target.stroke();
  }

  /** @param {PointerEvent} down */
  start(down) {
    if (down.button !== 0) return;
    down.preventDefault();
    this.canvas.focus();
    if (this.given) this.replace(null);
    /** @type {Stroke} */
    const stroke = { pen: this.pen, points: [this.place(down)] };
    this.strokes.push(stroke);
    this.paintStroke(stroke, 0);
    this.onChange();
    /** @param {PointerEvent} event */
    const move = (event) => {
      const before = stroke.points.length;
      const together = event.getCoalescedEvents?.() ?? [];
      for (const one of together.length ? together : [event]) {
        const [x, y] = this.place(one);
        const [lastX, lastY] = stroke.points[stroke.points.length - 1];
        if (Math.hypot(x - lastX, y - lastY) >= STEP) stroke.points.push([x, y]);
      }
      if (stroke.points.length === before) return;
      this.paintStroke(stroke, before);
      this.onChange();
    };
    followPointer(this.canvas, down, move, this.onChange);
  }

  /** @param {PointerEvent} event @returns {[number, number]} */
  place(event) {
    const [x, y] = placeOn(this.canvas, event);
    return [x * this.canvas.width, y * this.canvas.height];
  }
}

/** @param {number} value @param {number} full */
const toByte = (value, full) => Math.max(0, Math.min(255, Math.round((value / full) * 255)));
