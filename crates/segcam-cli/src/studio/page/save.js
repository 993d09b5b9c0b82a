// @ts-check
// What can be kept: figures, arrays, the command, and the view itself.

import { arrayUrl, figureUrl } from "./api.js";
import { el, methodTitle } from "./answer.js";
import { state } from "./state.js";

/** @typedef {import("./panel.js").View} View */
/**
 * @typedef {object} SavedView
 * @property {1} segcam_view
 * @property {string} model
 * @property {string} image
 * @property {number | null} class
 * @property {number | null} against
 * @property {string} set
 * @property {number | null} [part]
 * @property {string[]} layers
 * @property {string[]} methods
 * @property {typeof state.display} display
 * @property {View[]} views
 * @property {[number, number, number]} at
 */

/** @returns {SavedView} */
function currentView() {
  return {
    segcam_view: 1,
    model: state.about?.model ?? "",
    image: state.images.find((image) => image.id === state.image)?.name ?? "",
    class: state.class,
    against: state.against,
    set: state.set,
    part: state.part,
    layers: state.layers,
    methods: state.methods,
    display: { ...state.display },
    views: state.sheets.map((sheet) => sheet.view),
    at: state.at,
  };
}

/** A view from its file. @param {string} text @returns {SavedView} */
export function viewOf(text) {
  /** @type {any} */
  let view;
  try {
    view = JSON.parse(text);
  } catch {
    throw new Error("this file is no view: it is not JSON");
  }
  if (view?.segcam_view !== 1) throw new Error("this file is no view of segcam studio");
  const texts = (/** @type {unknown} */ list) => Array.isArray(list) && list.every((one) => typeof one === "string");
  const number = (/** @type {unknown} */ one) => one === null || Number.isInteger(one);
  const whole = typeof view.model === "string" && typeof view.image === "string" && typeof view.set === "string" && texts(view.layers) &&
    texts(view.methods) && number(view.class) && number(view.against) && number(view.part ?? null) && typeof view.display === "object" && Array.isArray(view.views) &&
    view.views.every((/** @type {any} */ one) => [one?.zoom, one?.y, one?.x].every(Number.isFinite));
  if (!whole) throw new Error("this view is damaged: something is missing in it");
  const display = { ...state.display };
  for (const key of /** @type {(keyof typeof display)[]} */ (Object.keys(display))) {
    if (typeof view.display?.[key] === typeof display[key]) Object.assign(display, { [key]: view.display[key] });
  }
  return { ...view, display };
}

/** Nothing where there is no such file. @param {string} words @param {string} kind @param {string | null} url @returns {HTMLElement[]} */
function link(words, kind, url) {
  if (url === null) return [];
  const item = /** @type {HTMLAnchorElement} */ (el("a", null, words, el("small", null, kind)));
  item.href = url;
  item.download = "";
  return [item];
}

/** @param {string} words @param {string} kind @param {() => void} act */
function button(words, kind, act) {
  const item = /** @type {HTMLButtonElement} */ (el("button", null, words, el("small", null, kind)));
  item.type = "button";
  item.addEventListener("click", act);
  return item;
}

/**
 * @param {import("./api.js").Answer} answer
 * @param {import("./colors.js").Table} table
 * @param {(words: string) => void} say
 */
export function saveItems(answer, table, say) {
  const { scale } = state.display;
  const show = table.diverging ? "" : `&colormap=${table.name}&normalize=${scale === "shared" ? "max-abs" : scale}`;
  /** @type {HTMLElement[]} */
  const items = [
    ...link("Figure", "PNG", figureUrl(answer.id, `format=png${show}`)),
    ...link("Figure, text as text", "SVG", figureUrl(answer.id, `format=svg${show}`)),
    ...link("Figure for print", "PDF", figureUrl(answer.id, `format=pdf${show}`)),
  ];
  const line = () => (items.length > 0 ? [el("hr", null)] : []);
  items.push(...line());
  answer.maps.forEach((map, at) => {
    if (!map.report) return;
    const name = `${methodTitle(map.method)}, ${map.layer}`;
    items.push(...link(name, "signed .npy", arrayUrl(answer.id, at, "kind=raw")));
    items.push(...link(name, "as shown .npy", arrayUrl(answer.id, at, `kind=heat${show}`)));
  });
  items.push(...line());
  if (answer.command) {
    items.push(button("Copy the command", "says the same", async () => {
      try {
        await navigator.clipboard.writeText(answer.command);
        say("The command is copied.");
      } catch {
        window.prompt("The command:", answer.command);
      }
    }));
  }
  items.push(
    button("This view", "opens again", () => {
      const text = JSON.stringify(currentView(), null, 2);
      const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      const item = document.createElement("a");
      item.href = url;
      item.download = "view.json";
      item.click();
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    }),
  );
  return items;
}
