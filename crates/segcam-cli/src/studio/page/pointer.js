// @ts-check
// Pointer and keyboard on a panel.

import { short } from "./colors.js";
import { component, outline } from "./shapes.js";
import { valueAt } from "./sheets.js";
import { panels, redraw } from "./stage.js";
import { classOf, labelIndex, state } from "./state.js";

/** @typedef {import("./stage.js").Shown} Shown */
/**
 * What a pointer leads to.
 * @typedef {object} Acts
 * @property {(sheet: number, pixel: {y: number, x: number}) => void} askAt
 * @property {() => void} askDraft
 * @property {(sheet: number, to: number) => void} slide
 * @property {(sheet: number, by: number) => void} scroll
 * @property {() => void} reload
 * @property {(words: string) => void} say
 */

const readoutBox = () => /** @type {HTMLElement} */ (document.getElementById("readout"));

/** @param {Shown} one @param {Acts} acts */
export function listen(one, acts) {
  const { panel, sheet: number } = one;
  const { canvas } = panel;
  /** @type {{x: number, y: number, what: "move" | "draw" | "window"} | null} */
  let held = null;
  const pixelOf = (/** @type {MouseEvent} */ event) => panel.pixel(event);
  panel.slider.addEventListener("input", () => acts.slide(number, Number(panel.slider.value)));
  const setView = (/** @type {import("./panel.js").View} */ view) => {
    const sheet = state.sheets[number];
    if (sheet) sheet.view = view;
    redraw();
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    const pixel = pixelOf(event);
    canvas.setPointerCapture(event.pointerId);
    if (event.button === 1 || state.tool === "pan") {
      held = { x: event.clientX, y: event.clientY, what: "move" };
      canvas.classList.add("panning");
      event.preventDefault();
      return;
    }
    if (event.button !== 0) return;
    if (event.shiftKey && state.window) {
      held = { x: event.clientX, y: event.clientY, what: "window" };
      return;
    }
    if (!panel.holds(pixel)) return;
    state.cursor = { sheet: number, ...pixel };
    if (state.tool === "box" || state.tool === "brush") {
      held = { x: event.clientX, y: event.clientY, what: "draw" };
      state.draft = { sheet: number, kind: state.tool, points: [[pixel.y, pixel.x]], radius: state.brush };
    }
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    const pixel = pixelOf(event);
    if (held?.what === "move") {
      setView(panel.moved(event.clientX - held.x, event.clientY - held.y));
      held = { ...held, x: event.clientX, y: event.clientY };
      return;
    }
    if (held?.what === "window" && state.window && state.look?.grey) {
      const [low, high] = state.window;
      const range = (state.look.grey[3] - state.look.grey[2]) / 500;
      const middle = (low + high) / 2 - (event.clientY - held.y) * range;
      const half = Math.max((high - low) / 2 + ((event.clientX - held.x) * range) / 2, range / 10);
      state.window = [middle - half, middle + half];
      held = { ...held, x: event.clientX, y: event.clientY };
      acts.reload();
      return;
    }
    const inside = panel.holds(pixel);
    if (held?.what === "draw" && state.draft) {
      const [rows, columns] = panel.scene?.size ?? [1, 1];
      const y = Math.min(Math.max(pixel.y, 0), rows - 0.01);
      const x = Math.min(Math.max(pixel.x, 0), columns - 0.01);
      if (state.draft.kind === "box") state.draft.points = [state.draft.points[0], [y, x]];
      else state.draft.points.push([y, x]);
    }
    state.cursor = inside ? { sheet: number, ...pixel } : null;
    hover(one, inside ? pixel : null);
    readout(one, inside ? pixel : null);
    redraw();
  });
  canvas.addEventListener("pointerleave", () => {
    if (held) return;
    state.cursor = null;
    state.hovered = null;
    readoutBox().textContent = "";
    redraw();
  });
  canvas.addEventListener("pointercancel", () => {
    held = null;
    state.draft = null;
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    const was = held;
    held = null;
    canvas.classList.remove("panning");
    if (was?.what === "move" || was?.what === "window" || event.button !== 0) return;
    const pixel = pixelOf(event);
    if (was?.what === "draw") return void acts.askDraft();
    if (!panel.holds(pixel)) return;
    if (state.tool === "polygon") {
      const points = state.draft?.sheet === number ? state.draft.points : [];
      state.draft = { sheet: number, kind: "polygon", points: [...points, [pixel.y, pixel.x]], radius: 0 };
      return redraw();
    }
    acts.askAt(number, pixel);
  });
  canvas.addEventListener("dblclick", () => {
    if (state.tool === "polygon" && state.draft) {
      state.draft.points.pop();
      acts.askDraft();
    }
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.altKey && state.tool === "brush") {
      state.brush = Math.min(Math.max(state.brush * (event.deltaY < 0 ? 1.2 : 1 / 1.2), 1), 200);
      readoutBox().textContent = `brush ${short(state.brush)} pixels`;
    } else if (state.look?.planes.length && !event.ctrlKey) acts.scroll(number, Math.sign(event.deltaY));
    else setView(panel.zoomed(Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 300)), event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    const [rows, columns] = panel.scene?.size ?? [1, 1];
    if (step) {
      const far = event.shiftKey ? 10 : 1;
      const from = state.cursor?.sheet === number ? state.cursor : { y: Math.floor(rows / 2) + 0.5, x: Math.floor(columns / 2) + 0.5 };
      const y = Math.min(Math.max(from.y + far * step[0], 0.5), rows - 0.5);
      const x = Math.min(Math.max(from.x + far * step[1], 0.5), columns - 0.5);
      state.cursor = { sheet: number, y, x };
      hover(one, { y, x });
      readout(one, { y, x });
      acts.say(readoutBox().textContent ?? "");
    } else if (event.key === "Enter" || event.key === " ") {
      if (state.draft && state.tool === "polygon" && event.key === "Enter") acts.askDraft();
      else if (state.cursor?.sheet === number) keyDraw(number, state.cursor, acts);
    } else if (event.key === "PageUp" || event.key === "PageDown") acts.scroll(number, event.key === "PageUp" ? 1 : -1);
    else return;
    event.preventDefault();
    redraw();
  });
}

/** Enter at the cross: asks there, or sets the corners of a box or a polygon. @param {number} number @param {{y: number, x: number}} pixel @param {Acts} acts */
function keyDraw(number, { y, x }, acts) {
  if (state.tool === "box") {
    if (state.draft?.sheet === number && state.draft.kind === "box") {
      state.draft.points = [state.draft.points[0], [y, x]];
      return acts.askDraft();
    }
    state.draft = { sheet: number, kind: "box", points: [[y, x]], radius: 0 };
  } else if (state.tool === "polygon") {
    const points = state.draft?.sheet === number ? state.draft.points : [];
    state.draft = { sheet: number, kind: "polygon", points: [...points, [y, x]], radius: 0 };
  } else if (state.tool === "brush") {
    state.draft = { sheet: number, kind: "brush", points: [[y, x]], radius: state.brush };
    acts.askDraft();
  } else acts.askAt(number, { y, x });
}

/** The object under the pointer gets an outline. @param {Shown} one @param {{y: number, x: number} | null} under */
function hover({ sheet: number }, under) {
  const sheet = state.sheets[number];
  const pixel = under && snapped(number, under);
  const index = sheet && pixel ? labelIndex(sheet, pixel) : null;
  if (!sheet?.labels || index === null || state.tool !== "object" || state.errors !== "" || classOf(sheet.labels.values[index]) === null) {
    state.hovered = null;
    lastObject = null;
    return;
  }
  if (lastObject && lastObject.labels === sheet.labels && lastObject.found[index]) return;
  const { found, count } = component(sheet.labels, index);
  lastObject = { labels: sheet.labels, found };
  const path = outline(sheet.labels.rows, sheet.labels.columns, (at) => found[at] === 1);
  state.hovered = path && { sheet: number, path, label: sheet.labels.values[index], count };
}
/** @type {{labels: object, found: Uint8Array} | null} */
let lastObject = null;

/** @param {Shown} one @param {{y: number, x: number} | null} pixel */
function readout({ sheet, map }, pixel) {
  readoutBox().textContent = pixel ? valueAt(sheet, map, pixel) : "";
}

/** The nearest pixel of an object within a few pixels of the screen: vessels are thin. @param {number} number @param {{y: number, x: number}} pixel */
export function snapped(number, pixel) {
  const sheet = state.sheets[number];
  const panel = panels.find((one) => one.sheet === number)?.panel;
  if (!sheet?.labels || !panel || state.tool !== "object" || state.errors !== "") return pixel;
  const isObject = (/** @type {{y: number, x: number}} */ at) => {
    const index = labelIndex(sheet, at);
    return index !== null && classOf(sheet.labels?.values[index] ?? 0) !== null;
  };
  if (isObject(pixel)) return pixel;
  const reach = Math.min(5 / panel.place().scale, 12);
  let best = { far: Infinity, at: pixel };
  for (let y = -Math.floor(reach); y <= reach; y++) {
    for (let x = -Math.floor(reach); x <= reach; x++) {
      const far = Math.hypot(y, x);
      const at = { y: pixel.y + y, x: pixel.x + x };
      if (far <= reach && far < best.far && isObject(at)) best = { far, at };
    }
  }
  return best.at;
}
