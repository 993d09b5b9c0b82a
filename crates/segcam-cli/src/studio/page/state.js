// @ts-check
// What the page knows, and how the grids of an image lie on each other.

import { WHOLE } from "./panel.js";

/** @typedef {import("./panel.js").View} View */
/** @template T @typedef {import("./api.js").Raster<T>} Raster */
/** @typedef {{raster: Raster<Float32Array>, heat: OffscreenCanvas | null, contours: import("./panel.js").Line[]}} Heat */
/**
 * What is shown of an image, or of a plane of a volume.
 * @typedef {object} Sheet
 * @property {number | null} plane
 * @property {ImageBitmap | null} picture
 * @property {OffscreenCanvas | null} dim
 * @property {Raster<Uint16Array> | null} labels
 * @property {Raster<Uint16Array> | null} truth
 * @property {import("./panel.js").Line[]} outlines
 * @property {OffscreenCanvas | null} fill
 * @property {Path2D | null} explained
 * @property {(Heat | null)[]} maps
 * @property {View} view
 */
/** @typedef {"object" | "pixel" | "box" | "brush" | "polygon" | "pan"} Tool */

const letters = crypto.getRandomValues(new Uint32Array(2));

export const state = {
  /** What the server knows this page by. */
  view: `page-${letters[0].toString(36)}${letters[1].toString(36)}`,
  /** @type {import("./api.js").About | null} */
  about: null,
  /** @type {import("./colors.js").Table[]} */
  tables: [],
  /** @type {import("./api.js").Image[]} */
  images: [],
  /** @type {string | null} */
  image: null,
  /** @type {import("./api.js").Look | null} */
  look: null,
  /** @type {Sheet[]} */
  sheets: [],
  /** The voxel through which planes go. @type {[number, number, number]} */
  at: [0, 0, 0],
  /** @type {[number, number] | null} */
  window: null,
  /** @type {Tool} */
  tool: "object",
  brush: 6,
  /** @type {number | null} */
  class: null,
  /** @type {number | null} */
  against: null,
  errors: "",
  /** @type {string[]} */
  layers: [],
  methods: ["seg-hires-grad-cam"],
  set: "class",
  /** Of a set that stands for several, the one that is shown. @type {number | null} */
  part: null,
  /** @type {import("./api.js").Answer | null} */
  answer: null,
  /** @type {import("./api.js").Certified[] | null} */
  certified: null,
  /** @type {string | null} */
  certifying: null,
  display: { opacity: 90, colormap: "blue-orange", scale: "own", contours: false, outlines: true },
  /** In pixels of a sheet's picture. @type {{sheet: number, y: number, x: number} | null} */
  cursor: null,
  /** @type {{sheet: number, path: Path2D, label: number, count: number} | null} */
  hovered: null,
  /** @type {{sheet: number, kind: string, points: [number, number][], radius: number} | null} */
  draft: null,
};

/** @param {number | null} plane @returns {Sheet} */
export const emptySheet = (plane) => ({
  plane, picture: null, dim: null, labels: null, truth: null, outlines: [], fill: null, explained: null, maps: [], view: WHOLE,
});

export const background = () => state.look?.classes.find((one) => one.background)?.class ?? null;
export const isBinary = () => state.look?.classes.length === 1;

/** The class that a label stands for; none of what a binary network leaves out. @param {number} label */
export function classOf(label) {
  if (isBinary()) return label === 1 ? 0 : null;
  return label === background() ? null : label;
}

/** Whether a label is the class asked about. @param {number} label @param {number} number */
export const isClass = (label, number) => (isBinary() ? label === 1 : label === number);

/** @param {number} number */
export function className(number) {
  return state.look?.classes[number]?.name ?? `class ${number}`;
}

/** A sheet's plane of the volume. @param {Sheet} sheet */
export const planeOf = (sheet) => (sheet.plane === null ? null : (state.look?.planes[sheet.plane] ?? null));

/** Where a plane stands, for the server. @param {Sheet} sheet */
export function placeOf(sheet) {
  const plane = planeOf(sheet);
  return plane && sheet.plane !== null ? { plane: sheet.plane, at: state.at[plane.across] } : null;
}

/** Rows and columns of a sheet's picture. @param {Sheet} sheet @returns {[number, number]} */
export function sizeOf(sheet) {
  const plane = planeOf(sheet);
  return plane ? [plane.rows.pixels, plane.columns.pixels] : (state.look?.picture ?? [1, 1]);
}

/** The place in the network's output that a pixel of a sheet's picture shows. @param {Sheet} sheet @param {{y: number, x: number}} pixel @returns {number[]} */
export function outputPlace(sheet, { y, x }) {
  const look = state.look;
  if (!look) return [0, 0];
  const plane = planeOf(sheet);
  if (!plane) {
    const at = (/** @type {number} */ value, /** @type {number} */ axis) =>
      Math.min(Math.max(Math.floor(value / look.label_size[axis]), 0), look.labels[axis] - 1);
    return [at(y, 0), at(x, 1)];
  }
  const voxel = [...state.at];
  for (const [axis, value] of /** @type {const} */ ([[plane.rows, y], [plane.columns, x]])) {
    const at = Math.min(Math.max(Math.floor((value * axis.voxels) / axis.pixels), 0), axis.voxels - 1);
    voxel[axis.side] = axis.flipped ? axis.voxels - 1 - at : at;
  }
  return voxel;
}

/** The middle of a voxel on a sheet, in pixels of its picture. @param {Sheet} sheet @param {number[]} voxel */
export function sheetPlace(sheet, voxel) {
  const plane = planeOf(sheet);
  if (!plane) return null;
  const [y, x] = [plane.rows, plane.columns].map((axis) => {
    const at = axis.flipped ? axis.voxels - 1 - voxel[axis.side] : voxel[axis.side];
    return ((at + 0.5) * axis.pixels) / axis.voxels - 0.5;
  });
  return { y, x };
}

/** Where a pixel of a sheet's picture is in its raster of labels. @param {Sheet} sheet @param {{y: number, x: number}} pixel */
export function labelIndex(sheet, { y, x }) {
  if (!sheet.labels || !state.look) return null;
  const [high, wide] = planeOf(sheet) ? [1, 1] : state.look.label_size;
  const row = Math.floor(y / high);
  const column = Math.floor(x / wide);
  const { rows, columns } = sheet.labels;
  return row >= 0 && column >= 0 && row < rows && column < columns ? row * columns + column : null;
}
