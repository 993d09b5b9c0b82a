// @ts-check
// The thread that computes: the network in WebAssembly.

import start, { Desk } from "./segcam_web.js";

/** @type {Desk | null} */
let desk = null;
const ready = start();

/** What a panic said last: after one this worker is of no use any more. */
let said = "";
const log = console.error;
console.error = (/** @type {unknown[]} */ ...words) => {
  said = String(words[0]);
  log(...words);
};

/** @param {{data: {number: number, act: string, given: any[]}}} message */
async function answer({ data: { number, act, given } }) {
  try {
    await ready;
    if (act === "open") desk = new Desk(.../** @type {[string, Uint8Array, string | undefined]} */ (given));
    const value = act === "open" ? desk?.about() : /** @type {any} */ (desk)[act](...given);
    const transfer = ArrayBuffer.isView(value) ? [value.buffer] : [];
    self.postMessage({ number, value }, { transfer });
  } catch (error) {
    self.postMessage({ number, error: typeof error === "string" ? JSON.parse(error) : broken(error) });
  }
}

/** @param {unknown} error */
function broken(error) {
  // burn says where it was, then what is wrong.
  const words = said.split("\n").slice(1).join(" ").trim() || String(error);
  if (/capacity overflow|allocation/.test(words)) {
    return { status: 413, error: "the image is too large for this network in a page, whose memory ends at 4 GB", broken: true };
  }
  return { status: 500, error: `the network cannot be run on this image: ${words}`, broken: true };
}

self.addEventListener("message", answer);
