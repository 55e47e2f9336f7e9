/** Statistics of float32 values as numpy computes them, in float32. */

const { fround } = Math;
const MAD_TO_SIGMA = 1.4826;

/** Values at places where a mask is set.
 * @param {Float32Array} values @param {Uint8Array} mask */
export function where(values, mask) {
  let count = 0;
  for (const set of mask) count += set;
  const found = new Float32Array(count);
  let at = 0;
  mask.forEach((set, i) => {
    if (set) found[at++] = values[i];
  });
  return found;
}

/** @param {Float32Array} values */
export function median(values) {
  const sorted = Float32Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : fround(fround(sorted[half - 1] + sorted[half]) / 2);
}

/** np.quantile, linear; reckoned in float32 unless told.
 * @param {Float32Array} values @param {number} q @param {(value: number) => number} [round] */
export function quantile(values, q, round = fround) {
  const sorted = Float32Array.from(values).sort();
  const place = round((sorted.length - 1) * round(q));
  const below = Math.floor(place);
  const [a, b] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  const part = round(place - below);
  // The gap is that of the values, which are float32 where they come from float32.
  const gap = round(b - a);
  return part >= 0.5 ? round(b - round(gap * round(1 - part))) : round(a + round(gap * part));
}

/** To reckon in double precision.
 * @param {number} value */
export const exactly = (value) => value;

/** Standard deviation of most of the values; a tenth that lies far off does no harm.
 * @param {Float32Array} values */
export function spread(values) {
  const middle = median(values);
  return MAD_TO_SIGMA * median(values.map((value) => Math.abs(fround(value - middle))));
}

/** Python's round: half to even.
 * @param {number} value */
export function rint(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest !== 0.5) return rest < 0.5 ? down : down + 1;
  return down % 2 ? down + 1 : down;
}

/** Solve a small system of linear equations.
 * @param {number[][]} matrix @param {number[]} right @returns {number[]} */
export function solve(matrix, right) {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let i = column + 1; i < size; i++) {
      if (Math.abs(rows[i][column]) > Math.abs(rows[pivot][column])) pivot = i;
    }
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    for (let i = column + 1; i < size; i++) {
      const factor = rows[i][column] / rows[column][column];
      for (let j = column; j <= size; j++) rows[i][j] -= factor * rows[column][j];
    }
  }
  const found = new Array(size).fill(0);
  for (let i = size - 1; i >= 0; i--) {
    let rest = rows[i][size];
    for (let j = i + 1; j < size; j++) rest -= rows[i][j] * found[j];
    found[i] = rest / rows[i][i];
  }
  return found;
}
