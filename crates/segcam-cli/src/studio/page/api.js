// @ts-check
// The server's API. The page asks nothing else.

/** @typedef {{id: string, name: string, uploaded: boolean, picture: boolean}} Image */
/** @typedef {{whole_image: string | null, pixel_set: string | null, help: string, papers: string}} Method */
/** @typedef {{name: string, diverging: boolean, colors: string}} Colormap */
/**
 * @typedef {object} About
 * @property {string} segcam
 * @property {string} model
 * @property {string[]} notes
 * @property {string} device
 * @property {number} sides
 * @property {Method[]} methods
 * @property {Record<string, string>} titles
 * @property {{form: string, help: string}[]} sets
 * @property {Colormap[]} colormaps
 * @property {{solid_from: number, most: number, backdrop: number}} cover
 * @property {{file_bytes: number, files: number}} limits
 * @property {Image[]} images
 */
/** @typedef {{dice: number | null, true_positives: number, false_positives: number, false_negatives: number}} Judged */
/** @typedef {{class: number, name: string | null, background: boolean, pixels: number, judged: Judged | null}} Class */
/** @typedef {{name: string, shape: number[], auto: boolean, operator: string | null}} Layer */
/** @typedef {{side: number, flipped: boolean, voxels: number, pixels: number, letters: [string, string] | null}} Axis */
/** @typedef {{name: string, across: number, count: number, rows: Axis, columns: Axis}} Plane */
/**
 * @typedef {object} Look
 * @property {string} name
 * @property {number[]} input_shape
 * @property {[number, number]} picture
 * @property {[number, number]} labels
 * @property {[number, number]} maps
 * @property {[number, number]} label_size
 * @property {[number, number]} map_size
 * @property {Plane[]} planes
 * @property {[number, number, number] | null} start
 * @property {[number, number, number, number] | null} grey
 * @property {Class[]} classes
 * @property {Layer[]} layers
 * @property {string} engine
 * @property {boolean} fallback
 * @property {string} device
 * @property {boolean} truth
 * @property {boolean} instances
 * @property {string[]} notes
 */
/**
 * @typedef {object} MapReport
 * @property {number[]} shape
 * @property {number[]} score
 * @property {string[]} status
 * @property {number[]} raw_min
 * @property {number[]} raw_max
 * @property {number[]} rounding
 */
/** @typedef {{method: string, layer: string, report: MapReport | null, error: string | null}} MapAnswer */
/**
 * @typedef {object} Answer
 * @property {string} id
 * @property {string} image
 * @property {number} class
 * @property {string | null} class_name
 * @property {[number, number][]} score_of
 * @property {string} pixel_set
 * @property {number} pixels
 * @property {[number, number, number] | null} at
 * @property {number | null} part
 * @property {{pixel_set: string, pixels: number, score: number | null}[]} parts
 * @property {MapAnswer[]} maps
 * @property {string} command
 */
/** @typedef {{layer: number, bypasses: [string, number][] | null, bias: number | null, impossible: number | null}} Certificate */
/** @typedef {{certificate: Certificate | null, share: number | null, error: string | null}} Certified */
/** @typedef {{view: string, image: string, class: number | string | null, pixels: string, part: number | null, layers: string[], methods: string[]}} Question */
/** @typedef {{busy: boolean, done: number, all: number}} Progress */
/** Values row by row. @template T @typedef {{rows: number, columns: number, values: T}} Raster */

/** What the server says when it says no. */
export class Refusal extends Error {
  /** @param {number} status @param {{error?: string, column?: number | null, cancelled?: boolean}} body */
  constructor(status, body) {
    super(body.error ?? `the server answered ${status}`);
    this.status = status;
    this.column = body.column ?? null;
    this.cancelled = body.cancelled ?? false;
  }
}

const ROOT = "/api/v1";

/** @param {string} path @param {RequestInit} [options] */
async function send(path, options) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(ROOT + path, options);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal(0, { error: "the studio does not answer: is the program still running?" });
  }
  if (!response.ok) {
    throw new Refusal(response.status, await response.json().catch(() => ({})));
  }
  return response;
}

/** @param {string} path @param {unknown} body @param {AbortSignal} [signal] */
async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  return (await send(path, { method: "POST", body: JSON.stringify(body), headers, signal })).json();
}

/** @param {Response} response @returns {[number, number]} */
function sizeOf(response) {
  const [rows, columns] = (response.headers.get("Segcam-Size") ?? "0x0").split("x").map(Number);
  return [rows, columns];
}

/** The plane of a volume, for a query. @param {{plane: number, at: number} | null} place */
const placed = (place) => (place ? `?plane=${place.plane}&at=${place.at}` : "");

/** @returns {Promise<About>} */
export const about = async () => (await send("/studio")).json();
/** @returns {Promise<Image[]>} */
export const images = async () => (await (await send("/images")).json()).images;
/** @param {File} file @returns {Promise<Image>} */
export const upload = async (file) =>
  (await send(`/images?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file })).json();
/** @param {string} id @param {string} view @param {AbortSignal} signal @returns {Promise<Look>} */
export const look = async (id, view, signal) => (await send(`/images/${id}?view=${view}`, { signal })).json();
/** @param {string} id */
export const thumbnailUrl = (id) => `${ROOT}/images/${id}/thumbnail`;
/** @param {Question} question @param {AbortSignal} signal @returns {Promise<Answer>} */
export const ask = (question, signal) => post("/questions", question, signal);
/** @param {string} id @param {string} view @param {AbortSignal} signal @returns {Promise<{maps: Certified[]}>} */
export const certify = (id, view, signal) => post(`/questions/${id}/certificates`, { view }, signal);
/** @param {string} view @returns {Promise<Progress>} */
export const progress = async (view) => (await send(`/views/${view}`)).json();
/** @param {string} view */
export const cancel = (view) => send(`/views/${view}`, { method: "DELETE" });
/** When the page goes away. @param {string} view */
export const leave = (view) => void fetch(`${ROOT}/views/${view}`, { method: "DELETE", keepalive: true }).catch(() => {});
/** @param {string} id @param {string} query @returns {string | null} */
export const figureUrl = (id, query) => `${ROOT}/questions/${id}/figure?${query}`;
/** @param {string} id @param {number} map @param {string} query @returns {string | null} */
export const arrayUrl = (id, map, query) => `${ROOT}/questions/${id}/maps/${map}/array?${query}`;

/** @param {string} id @param {{plane: number, at: number} | null} place @param {[number, number] | null} window @param {AbortSignal} signal */
export async function picture(id, place, window, signal) {
  const grey = place && window ? `&low=${window[0]}&high=${window[1]}` : "";
  const response = await send(`/images/${id}/picture${placed(place)}${grey}`, { signal });
  return createImageBitmap(await response.blob());
}

/** @param {string} id @param {"labels" | "truth"} what @param {{plane: number, at: number} | null} place @param {AbortSignal} signal @returns {Promise<Raster<Uint16Array>>} */
export async function labels(id, what, place, signal) {
  const response = await send(`/images/${id}/${what}${placed(place)}`, { signal });
  const [rows, columns] = sizeOf(response);
  return { rows, columns, values: new Uint16Array(await response.arrayBuffer()) };
}

/** @param {string} id @param {number} map @param {{plane: number, at: number} | null} place @param {AbortSignal} signal @returns {Promise<Raster<Float32Array>>} */
export async function map(id, map, place, signal) {
  const response = await send(`/questions/${id}/maps/${map}${placed(place)}`, { signal });
  const [rows, columns] = sizeOf(response);
  return { rows, columns, values: new Float32Array(await response.arrayBuffer()) };
}

/** @param {string} id @param {{plane: number, at: number} | null} place @param {AbortSignal} signal @returns {Promise<Raster<Uint8Array>>} */
export async function pixels(id, place, signal) {
  const response = await send(`/questions/${id}/pixels${placed(place)}`, { signal });
  const [rows, columns] = sizeOf(response);
  return { rows, columns, values: new Uint8Array(await response.arrayBuffer()) };
}
