// @ts-check
// The studio's API without a server: a worker has the network. The page's other modules are the studio's.

import { Refusal } from "./server.js";

export { Refusal };

/** @typedef {import("./server.js").Image} Image */
/** @typedef {import("./server.js").About} About */
/** @typedef {import("./server.js").Class} Class */
/** @typedef {import("./server.js").Layer} Layer */
/** @typedef {import("./server.js").Look} Look */
/** @typedef {import("./server.js").MapReport} MapReport */
/** @typedef {import("./server.js").Answer} Answer */
/** @typedef {import("./server.js").Certified} Certified */
/** @typedef {import("./server.js").Question} Question */
/** @typedef {import("./server.js").Progress} Progress */
/** @template T @typedef {import("./server.js").Raster<T>} Raster */
/** @typedef {{resolve: (value: any) => void, reject: (error: Error) => void}} Waiting */

/** @type {Worker | null} */
let worker = null;
/** What the worker has not answered yet. @type {Map<number, Waiting>} */
const waiting = new Map();
let sent = 0;
/** The calls, one after the other. @type {Promise<unknown>} */
let queue = Promise.resolve();
/** Whether a call is computed. */
let busy = false;

/** @type {{name: string, onnx: Blob, card: string | null} | null} */
let network = null;
/** @type {Map<string, File>} */
const files = new Map();
/** @type {Map<string, string>} */
const thumbnails = new Map();
/** The image that the worker looks at. @type {string | null} */
let seen = null;
/** @type {Look | null} */
let lastLook = null;

/** Ends what is computed: a worker cannot be interrupted, only replaced. @param {{error: string, cancelled?: boolean}} why */
function end(why) {
  worker?.terminate();
  worker = null;
  seen = null;
  for (const { reject } of waiting.values()) reject(new Refusal(0, why));
  waiting.clear();
}

/** @param {string} act @param {unknown[]} given @returns {Promise<any>} */
function post(act, given) {
  return new Promise((resolve, reject) => {
    sent += 1;
    waiting.set(sent, { resolve, reject });
    worker?.postMessage({ number: sent, act, given });
  });
}

/** A worker that has the network. */
async function begin() {
  if (!network) throw new Refusal(0, { error: "choose a network first" });
  worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data: { number, value, error } }) => {
    const one = waiting.get(number);
    waiting.delete(number);
    if (!error) return one?.resolve(value);
    one?.reject(new Refusal(error.status, error));
    if (error.broken) end({ error: error.error });
  });
  worker.addEventListener("error", (event) => end({ error: event.message || "the worker cannot start" }));
  const onnx = new Uint8Array(await network.onnx.arrayBuffer());
  try {
    await post("open", [network.name, onnx, network.card]);
  } catch (error) {
    end({ error: String(error) });
    throw error;
  }
}

/** @param {string} act @param {unknown[]} given @param {AbortSignal} [signal] @returns {Promise<any>} */
function call(act, given, signal) {
  const turn = queue.then(async () => {
    signal?.throwIfAborted();
    busy = true;
    try {
      if (!worker) await begin();
      return await post(act, given);
    } finally {
      busy = false;
    }
  });
  queue = turn.catch(() => {});
  return turn;
}

/** Takes a network; what was before it is forgotten. @param {File} file @param {File | null} card the `net.toml` beside it */
export async function choose(file, card) {
  end({ error: "another network was chosen", cancelled: true });
  network = { name: file.name, onnx: file, card: card && (await card.text()) };
  await call("about", []);
}

/** @returns {Promise<About>} */
export async function about() {
  const found = JSON.parse(await call("about", []));
  return { ...found, limits: { file_bytes: 0, files: 0 }, images: await images() };
}

/** @returns {Promise<Image[]>} */
export const images = async () =>
  [...files].map(([id, { name, type }]) => ({ id, name, uploaded: true, picture: ["image/png", "image/jpeg"].includes(type) }));

/** @param {File} file @returns {Promise<Image>} */
export async function upload(file) {
  if (file.name.endsWith(".onnx")) throw new Refusal(415, { error: "for another network reload the page" });
  const id = `i${files.size + 1}`;
  files.set(id, file);
  return { id, name: file.name, uploaded: true, picture: true };
}

/** @param {string} id @param {string} _view @param {AbortSignal} signal @returns {Promise<Look>} */
export async function look(id, _view, signal) {
  const file = files.get(id);
  if (!file) throw new Refusal(404, { error: "no image has this id" });
  const bytes = new Uint8Array(await file.arrayBuffer());
  lastLook = JSON.parse(await call("look", [id, file.name, bytes], signal));
  seen = id;
  return /** @type {Look} */ (lastLook);
}

/** @param {string} id */
export function thumbnailUrl(id) {
  const file = files.get(id);
  if (!thumbnails.has(id) && file) thumbnails.set(id, URL.createObjectURL(file));
  return thumbnails.get(id) ?? "";
}

/** @param {Question} question @param {AbortSignal} signal @returns {Promise<Answer>} */
export async function ask(question, signal) {
  // After a worker was replaced.
  if (seen !== question.image) await look(question.image, question.view, signal);
  return JSON.parse(await call("ask", [JSON.stringify(question)], signal));
}

/** @param {string} id @param {string} _view @param {AbortSignal} signal @returns {Promise<{maps: Certified[]}>} */
export const certify = async (id, _view, signal) => JSON.parse(await call("certify", [id], signal));

/** @param {string} _view @returns {Promise<Progress>} */
export const progress = async (_view) => ({ busy, done: 0, all: 0 });

/** @param {string} _view */
export async function cancel(_view) {
  if (busy) end({ error: "cancelled", cancelled: true });
}

/** @param {string} _view */
export const leave = (_view) => end({ error: "the page is closed", cancelled: true });

// Figures and arrays are files of the program.
/** @param {string} _id @param {string} _query @returns {string | null} */
export const figureUrl = (_id, _query) => null;
/** @param {string} _id @param {number} _map @param {string} _query @returns {string | null} */
export const arrayUrl = (_id, _map, _query) => null;

/** What the worker knows of an image, as rows and columns. @template T @param {[number, number] | undefined} size @param {T} values @returns {Raster<T>} */
const raster = (size, values) => ({ rows: size?.[0] ?? 0, columns: size?.[1] ?? 0, values });

/** @param {string} id @param {unknown} _place @param {unknown} _window @param {AbortSignal} signal */
export async function picture(id, _place, _window, signal) {
  const values = await call("picture", [id], signal);
  const { rows, columns } = raster(lastLook?.picture, values);
  return createImageBitmap(new ImageData(new Uint8ClampedArray(values.buffer), columns, rows));
}

/** @param {string} id @param {"labels" | "truth"} _what @param {unknown} _place @param {AbortSignal} signal @returns {Promise<Raster<Uint16Array>>} */
export const labels = async (id, _what, _place, signal) => raster(lastLook?.labels, await call("labels", [id], signal));

/** @param {string} id @param {number} number @param {unknown} _place @param {AbortSignal} signal @returns {Promise<Raster<Float32Array>>} */
export const map = async (id, number, _place, signal) => raster(lastLook?.maps, await call("map", [id, number], signal));

/** @param {string} id @param {unknown} _place @param {AbortSignal} signal @returns {Promise<Raster<Uint8Array>>} */
export const pixels = async (id, _place, signal) => raster(lastLook?.labels, await call("pixels", [id], signal));
