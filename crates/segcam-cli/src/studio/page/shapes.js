// @ts-check
// Outlines, objects and contours of rasters.

/** @template T @typedef {import("./api.js").Raster<T>} Raster */

/**
 * The edges between members and others, in pixels of the raster.
 * @param {number} rows
 * @param {number} columns
 * @param {(at: number) => boolean} member
 */
export function outline(rows, columns, member) {
  const path = new Path2D();
  let empty = true;
  /** Along each line of the grid, runs of edges. @param {number} lines @param {number} steps @param {(line: number, step: number) => boolean} edge @param {(line: number, from: number, to: number) => void} draw */
  const runs = (lines, steps, edge, draw) => {
    for (let line = 0; line <= lines; line++) {
      let from = -1;
      for (let step = 0; step <= steps; step++) {
        const here = step < steps && edge(line, step);
        if (here && from < 0) from = step;
        if (!here && from >= 0) {
          draw(line, from, step);
          empty = false;
          from = -1;
        }
      }
    }
  };
  const inside = (/** @type {number} */ y, /** @type {number} */ x) =>
    y >= 0 && x >= 0 && y < rows && x < columns && member(y * columns + x);
  runs(rows, columns, (y, x) => inside(y - 1, x) !== inside(y, x), (y, from, to) => {
    path.moveTo(from, y);
    path.lineTo(to, y);
  });
  runs(columns, rows, (x, y) => inside(y, x - 1) !== inside(y, x), (x, from, to) => {
    path.moveTo(x, from);
    path.lineTo(x, to);
  });
  return empty ? null : path;
}

/**
 * Whether an outline would hide more than it shows, as that of a net of vessels does.
 * @param {number} rows @param {number} columns @param {(at: number) => boolean} member
 */
export function isThin(rows, columns, member) {
  let members = 0;
  let border = 0;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const at = y * columns + x;
      if (!member(at)) continue;
      members += 1;
      const surrounded = y > 0 && x > 0 && y < rows - 1 && x < columns - 1 && member(at - columns) &&
        member(at + columns) && member(at - 1) && member(at + 1);
      if (!surrounded) border += 1;
    }
  }
  return 4 * border > members && 50 * border > rows * columns;
}

/**
 * The pixels of equal label that are connected along their sides with one.
 * @param {Raster<Uint16Array>} raster @param {number} start
 */
export function component({ rows, columns, values }, start) {
  const label = values[start];
  const found = new Uint8Array(values.length);
  const waiting = [start];
  found[start] = 1;
  let count = 0;
  while (waiting.length > 0) {
    const at = /** @type {number} */ (waiting.pop());
    count += 1;
    const x = at % columns;
    const beside = [x > 0 ? at - 1 : -1, x < columns - 1 ? at + 1 : -1, at - columns, at + columns];
    for (const next of beside) {
      if (next >= 0 && next < rows * columns && !found[next] && values[next] === label) {
        found[next] = 1;
        waiting.push(next);
      }
    }
  }
  return { found, count };
}

/**
 * The lines along which a map has a value, in its pixels: marching squares.
 * @param {Raster<Float32Array>} raster @param {number} level
 */
export function contour({ rows, columns, values }, level) {
  const path = new Path2D();
  for (let y = 0; y + 1 < rows; y++) {
    for (let x = 0; x + 1 < columns; x++) {
      const at = y * columns + x;
      const corners = [values[at], values[at + 1], values[at + columns + 1], values[at + columns]];
      const [a, b, c, d] = corners;
      if (!(Math.min(a, b, c, d) < level && level <= Math.max(a, b, c, d))) continue;
      /** Where the line crosses each side of the square. @type {[number, number][]} */
      const crossings = [];
      const cross = (/** @type {number} */ from, /** @type {number} */ to) => (level - from) / (to - from);
      if (a < level !== b < level) crossings.push([x + 0.5 + cross(a, b), y + 0.5]);
      if (b < level !== c < level) crossings.push([x + 1.5, y + 0.5 + cross(b, c)]);
      if (d < level !== c < level) crossings.push([x + 0.5 + cross(d, c), y + 1.5]);
      if (a < level !== d < level) crossings.push([x + 0.5, y + 0.5 + cross(a, d)]);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        path.moveTo(...crossings[i]);
        path.lineTo(...crossings[i + 1]);
      }
    }
  }
  return path;
}

/** A stroke as discs that cover it, at most so many. @param {[number, number][]} points @param {number} radius @param {number} most */
export function discs(points, radius, most) {
  const apart = Math.max(radius, 1);
  /** @type {[number, number][]} */
  let kept = [];
  for (const [y, x] of points) {
    if (kept.every(([a, b]) => Math.hypot(a - y, b - x) >= apart * 0.7)) kept.push([Math.round(y), Math.round(x)]);
  }
  while (kept.length > most) kept = kept.filter((_, at) => at % 2 === 0);
  return kept;
}
