/** When work runs that is asked for again and again. */

/** Run work, never twice at once; all requests made meanwhile are answered by one more run.
 * @param {() => Promise<void>} work */
export function latest(work) {
  let running = false;
  let asked = false;
  return async () => {
    asked = true;
    if (running) return;
    running = true;
    try {
      while (asked) {
        asked = false;
        await work();
      }
    } finally {
      running = false;
    }
  };
}

/** Run work once, a while after the last request.
 * @param {() => void} work @param {number} delay milliseconds */
export function debounced(work, delay) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(work, delay);
  };
}

/** Run work at most once per interval.
 * @param {() => void} work @param {number} interval milliseconds */
export function throttled(work, interval) {
  let timer = 0;
  return () => {
    timer ||= window.setTimeout(() => {
      timer = 0;
      work();
    }, interval);
  };
}
