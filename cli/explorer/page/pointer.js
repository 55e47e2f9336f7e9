/** Dragging with mouse, pen or finger. */

/** Follow a pointer from its press until it is released or lost.
 * @param {HTMLElement} element @param {PointerEvent} down
 * @param {(event: PointerEvent) => void} onMove @param {() => void} [onEnd] */
export function followPointer(element, down, onMove, onEnd) {
  element.setPointerCapture(down.pointerId);
  const released = new AbortController();
  /** @param {(event: PointerEvent) => void} work */
  const ofThisPointer = (work) => (/** @type {PointerEvent} */ event) => event.pointerId === down.pointerId && work(event);
  const end = ofThisPointer(() => {
    released.abort();
    onEnd?.();
  });
  element.addEventListener("pointermove", ofThisPointer(onMove), released);
  element.addEventListener("pointerup", end, released);
  element.addEventListener("pointercancel", end, released);
}

/** Where a pointer is on an element, from 0 to 1 across and down.
 * @param {HTMLElement} element @param {PointerEvent} event @returns {[number, number]} */
export function placeOn(element, event) {
  const box = element.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}
