// @ts-check
// The page: choose an image, click, see why.

import * as api from "./api.js";
import { counted, drawAnswer, drawLegend, el, methodTitle, questionOf } from "./answer.js";
import { dimmed, tablesOf } from "./colors.js";
import { makeDisplay, makeTheme, preferredTheme, showDisplay } from "./display.js";
import { drawLayers } from "./layers.js";
import { WHOLE } from "./panel.js";
import { drawParts, partBeside } from "./parts.js";
import { listen, snapped } from "./pointer.js";
import { saveItems, viewOf } from "./save.js";
import { discs } from "./shapes.js";
import { explained, outlines, paintSheet, table } from "./sheets.js";
import { arrange, describe, layOut, panels, redraw, zoomAll } from "./stage.js";
import { className, classOf, emptySheet, labelIndex, outputPlace, placeOf, planeOf, state } from "./state.js";

/** @typedef {import("./state.js").Sheet} Sheet */

/** @template {HTMLElement} T @param {string} id @returns {T} */
const byId = (id) => /** @type {T} */ (document.getElementById(id));
const select = (/** @type {string} */ id) => /** @type {HTMLSelectElement} */ (byId(id));
const input = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (byId(id));
const say = (/** @type {string} */ words) => void (byId("said").textContent = words);

/** @type {AbortController | null} */
let asking = null;
/** @type {AbortController | null} */
let loading = null;
/** @type {AbortController | null} */
let certifying = null;
let busySince = 0;

const TOOLS = /** @type {const} */ ([
  ["object", "Object", "O", "Asks about the connected object under the pointer"],
  ["pixel", "Pixel", "P", "Asks about one pixel"],
  ["box", "Box", "B", "Drag a box"],
  ["brush", "Brush", "R", "Paint; the mouse wheel with Alt changes the size"],
  ["polygon", "Polygon", "G", "Click corners, Enter or a double click ends"],
  ["pan", "Move", "H", "Drag to move the image"],
]);
const KEYS = [
  ["O P B R G H", "tools"], ["Arrows", "move the cross on an image"], ["Enter", "ask at the cross"], ["Shift + arrows", "ten pixels at once"],
  ["+ − 0", "zoom, whole image"], ["[ ]", "image before, image after"], [", .", "layer before, layer after"], ["< >", "part before, part after"], ["C", "contours"],
  ["L", "outlines"], ["/", "write a pixel set"], ["U", "add images"], ["D", "dark or light"], ["Esc", "cancel"], ["?", "this list"],
  ["Page up, down", "slice of a volume"], ["Shift + drag", "brightness of a volume"],
];

// ---- Errors and waiting ----

/** @param {unknown} error */
function fail(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  if (error instanceof api.Refusal && error.cancelled) return;
  const words = error instanceof Error ? error.message : String(error);
  byId("failure-text").textContent = words;
  byId("failure").hidden = false;
  say(words);
}

/** @param {string} words @param {AbortSignal} signal */
async function waiting(words, signal) {
  const since = (busySince = performance.now());
  const over = () => signal.aborted || since !== busySince;
  await new Promise((later) => setTimeout(later, 350));
  while (!over()) {
    byId("busy").hidden = false;
    const bar = /** @type {HTMLProgressElement} */ (byId("progress"));
    const { done, all } = await api.progress(state.view).catch(() => ({ done: 0, all: 0 }));
    if (over()) break;
    if (all > 0) {
      bar.max = all;
      bar.value = done;
    } else bar.removeAttribute("value");
    byId("busy-text").textContent = all > 1 ? `${words}, ${done} of ${all}` : words;
    await new Promise((later) => setTimeout(later, 200));
  }
}

function rest() {
  busySince = 0;
  byId("busy").hidden = true;
}

function cancel() {
  asking?.abort();
  certifying?.abort();
  api.cancel(state.view).catch(() => {});
  state.draft = null;
  state.certifying = null;
  rest();
  drawAnswer(byId("answer"));
  redraw();
}

// ---- Images ----

function drawGallery() {
  const list = byId("images");
  list.replaceChildren(...state.images.map((image) => {
    const item = el("li", null);
    item.setAttribute("role", "option");
    item.tabIndex = image.id === state.image || (state.image === null && image === state.images[0]) ? 0 : -1;
    item.setAttribute("aria-selected", String(image.id === state.image));
    item.dataset.id = image.id;
    item.title = image.name;
    const blank = () => el("div", "blank", image.name.split(".").slice(1).join(".").slice(-7) || "scan");
    const thumbnail = document.createElement("img");
    thumbnail.alt = "";
    if (image.picture) {
      thumbnail.loading = "lazy";
      thumbnail.src = api.thumbnailUrl(image.id);
      thumbnail.addEventListener("error", () => thumbnail.replaceWith(blank()));
    }
    item.append(image.picture ? thumbnail : blank(), nameOf(image.name));
    item.addEventListener("click", () => chooseImage(image.id));
    item.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        chooseImage(image.id);
      }
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        event.preventDefault();
        const next = /** @type {HTMLElement | null} */ (step > 0 ? item.nextElementSibling : item.previousElementSibling);
        next?.focus();
      }
    });
    return item;
  }));
  byId("empty").hidden = state.image !== null;
}

/** A file's name, with its ending where a line may begin. @param {string} name */
function nameOf(name) {
  const dot = name.indexOf(".", 1);
  if (dot < 0) return el("span", null, name);
  return el("span", null, name.slice(0, dot), el("small", null, name.slice(dot)));
}

/** @param {FileList | File[]} files */
async function addFiles(files) {
  let last = null;
  for (const file of files) {
    try {
      last = await api.upload(file);
      state.images = await api.images();
    } catch (error) {
      fail(error);
    }
  }
  drawGallery();
  if (last) await chooseImage(last.id);
}

/** Looks at an image; then asks what is to be asked, if anything. @param {string} id @param {boolean} [keep] whether the question stays */
async function chooseImage(id, keep = false) {
  asking?.abort();
  certifying?.abort();
  loading?.abort();
  const mine = (asking = new AbortController());
  state.image = id;
  state.look = null;
  state.answer = null;
  state.certified = null;
  state.sheets = [];
  state.hovered = null;
  state.cursor = null;
  if (!keep) {
    state.part = null;
    state.set = "class";
    state.against = null;
  }
  byId("failure").hidden = true;
  drawGallery();
  document.querySelector('#images [aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  rebuild();
  waiting("The network looks at the image", mine.signal);
  try {
    const look = await api.look(id, state.view, mine.signal);
    if (mine.signal.aborted) return false;
    state.look = look;
    settle();
    state.sheets = look.planes.length ? look.planes.map((_, plane) => emptySheet(plane)) : [emptySheet(null)];
    if (look.start) state.at = look.start;
    state.window = look.grey ? [look.grey[0], look.grey[1]] : null;
    rebuild();
    await loadSheets();
    say(`${look.name}: ${look.classes.filter((one) => !one.background && one.pixels > 0).map((one) => `${counted(one.pixels)} pixels ${className(one.class)}`).join(", ")}`);
    return true;
  } catch (error) {
    fail(error);
    return false;
  } finally {
    if (asking === mine) rest();
  }
}

/** Layers and classes that the network has. */
function settle() {
  const look = state.look;
  if (!look) return;
  const known = look.layers.map((layer) => layer.name);
  state.layers = state.layers.filter((layer) => known.includes(layer));
  if (state.layers.length === 0) {
    const first = look.layers.find((layer) => layer.auto) ?? look.layers[look.layers.length - 1];
    if (first) state.layers = [first.name];
  }
  const possible = look.classes.filter((one) => !one.background);
  if (state.class === null || !look.classes[state.class]) {
    const most = [...possible].sort((a, b) => b.pixels - a.pixels)[0];
    state.class = most?.class ?? 0;
  }
  const option = (/** @type {import("./api.js").Class} */ one) => new Option(one.name ?? `class ${one.class}`, String(one.class));
  select("class").replaceChildren(...look.classes.map(option));
  select("against").replaceChildren(new Option("–", ""), ...look.classes.map(option));
  byId("errors-field").hidden = !look.truth;
  if (!look.truth) state.errors = "";
}

/** Fetches pictures and labels, and the maps of the answer. @param {AbortController} [by] what ends it, if not what is fetched next */
async function loadSheets(by) {
  const { image, look } = state;
  if (!image || !look) return;
  if (by !== loading) loading?.abort();
  const { signal } = (loading = by ?? new AbortController());
  const load = async (/** @type {Sheet} */ sheet) => {
    const place = placeOf(sheet);
    const [picture, labels, truth] = await Promise.all([
      api.picture(image, place, state.window, signal),
      api.labels(image, "labels", place, signal),
      look.truth ? api.labels(image, "truth", place, signal) : null,
    ]);
    if (signal.aborted) return;
    sheet.picture = picture;
    sheet.dim = dimmed(picture, state.about?.cover.backdrop ?? 1);
    sheet.labels = labels;
    sheet.truth = truth;
    outlines(sheet);
    redraw();
  };
  await Promise.all(state.sheets.map((sheet) => load(sheet)));
  await loadAnswer(signal);
}

/** @param {AbortSignal} signal */
async function loadAnswer(signal) {
  const answer = state.answer;
  if (!answer) return;
  await Promise.all(state.sheets.map(async (sheet) => {
    const place = placeOf(sheet);
    const [pixels, ...maps] = await Promise.all([
      api.pixels(answer.id, place, signal),
      ...answer.maps.map((map, at) => (map.report ? api.map(answer.id, at, place, signal) : null)),
    ]);
    if (signal.aborted || state.answer !== answer) return;
    sheet.explained = explained(pixels);
    sheet.maps = maps.map((raster) => (raster ? { raster, heat: null, contours: [] } : null));
    paintSheet(sheet);
  }));
  redraw();
}

/** Makes the panels anew, with what is said beside them. */
function rebuild() {
  layOut((shown) => listen(shown, acts));
  settings();
}

// ---- Asking ----

/** What is sent for the pixels: with the class to compare with, if there is one. */
const wholeSet = () => (state.against === null ? state.set : `contrast(${state.set}, ${state.against})`);

/** Asks about the set, and shows the answer. @param {boolean} [go] whether planes of a volume go where the set is */
async function ask(go = false) {
  const { image, look } = state;
  if (!image || !look) return;
  asking?.abort();
  certifying?.abort();
  loading?.abort();
  const mine = (asking = new AbortController());
  loading = mine;
  byId("failure").hidden = true;
  showSetError("");
  settings();
  const started = performance.now();
  waiting("Asking", mine.signal);
  const question = { view: state.view, image, class: state.class, pixels: wholeSet(), part: state.part, layers: state.layers, methods: state.methods };
  try {
    const answer = await api.ask(question, mine.signal);
    if (mine.signal.aborted) return;
    state.answer = answer;
    state.part = answer.part;
    state.certified = null;
    state.certifying = answer.id;
    state.sheets.forEach((sheet) => (sheet.maps = []));
    if (go && answer.at) {
      state.at = answer.at;
      await loadSheets(mine);
    } else await loadAnswer(mine.signal);
    if (mine.signal.aborted) return;
    rebuild();
    drawAnswer(byId("answer"));
    say(questionOf(answer));
    requestAnimationFrame(() => {
      performance.measure("segcam-ask", { start: started, end: performance.now() });
      document.body.dataset.answer = answer.id;
    });
    certifyAnswer(answer.id);
  } catch (error) {
    if (error instanceof api.Refusal && error.status === 422 && !error.cancelled) showSetError(error.message, error.column);
    else fail(error);
  } finally {
    if (asking === mine) rest();
  }
}

/** @param {string} id */
async function certifyAnswer(id) {
  const mine = (certifying = new AbortController());
  try {
    const { maps } = await api.certify(id, state.view, mine.signal);
    if (state.answer?.id === id) state.certified = maps;
  } catch (error) {
    if (!(error instanceof api.Refusal && error.status === 410)) fail(error);
  } finally {
    if (state.certifying === id) state.certifying = null;
    if (state.answer?.id === id) {
      drawAnswer(byId("answer"));
      document.body.dataset.certified = id;
    }
  }
}

/** @param {string} words @param {number | null} [column] */
function showSetError(words, column = null) {
  const into = byId("set-error");
  into.replaceChildren();
  input("set").setAttribute("aria-invalid", String(words !== ""));
  if (words === "") return;
  if (column !== null) {
    const text = `${wholeSet()} `;
    const mark = el("mark", null, text.slice(column - 1, column) === " " ? "\u00a0" : text.slice(column - 1, column));
    into.append(el("code", null, text.slice(0, column - 1), mark, text.slice(column)), " ");
  }
  // The mark says where, and the list of words is below the field.
  into.append(words.replace(/^column \d+ of pixel set `.*`: /s, "").replace(/; known: .*$/s, ""));
}

/** Asks about what is under a pixel of a sheet's picture. @param {number} number @param {{y: number, x: number}} under */
function askAt(number, under) {
  const sheet = state.sheets[number];
  if (!sheet?.labels) return;
  const pixel = snapped(number, under);
  const place = outputPlace(sheet, pixel);
  const index = labelIndex(sheet, pixel);
  const label = index === null ? null : sheet.labels.values[index];
  const number_ = label === null ? null : classOf(label);
  const at = place.join(",");
  if (planeOf(sheet)) goTo(place);
  if (state.tool === "pixel" || (state.errors === "" && number_ === null)) {
    if (number_ !== null && state.tool === "pixel") state.class = number_;
    return askSet(`pixel:${at}`);
  }
  if (state.errors !== "") {
    const truth = index === null ? null : sheet.truth?.values[index];
    if (state.errors === "fn" && truth != null && truth !== 65535) state.class = state.look?.classes.length === 1 ? 0 : truth;
    else if (number_ !== null) state.class = number_;
    return askSet(`component@${at}(${state.errors})`);
  }
  state.class = number_;
  askSet(`component@${at}`);
}

/** @param {string} set @param {boolean} [go] */
function askSet(set, go = false) {
  state.set = set;
  state.part = null;
  if (state.against === state.class) state.against = null;
  const previous = state.class;
  settings();
  if (state.look?.truth && previous !== null) state.sheets.forEach(outlines);
  return ask(go);
}

/** Asks about another part of the set. @param {number | null} part */
function askPart(part) {
  if (part === null) return;
  state.part = part;
  ask(true);
}

/** Ends what was drawn, and asks about it. */
function askDraft() {
  const draft = state.draft;
  state.draft = null;
  redraw();
  const sheet = draft && state.sheets[draft.sheet];
  if (!draft || !sheet) return;
  const place = (/** @type {[number, number]} */ [y, x]) => outputPlace(sheet, { y, x });
  if (draft.kind === "box") {
    const [a, b] = [place(draft.points[0]), place(draft.points[draft.points.length - 1])];
    const low = a.map((value, axis) => Math.min(value, b[axis]));
    const high = a.map((value, axis) => Math.max(value, b[axis]) + 1);
    return askSet(`box:${[...low, ...high].join(",")}`);
  }
  if (draft.kind === "polygon" && draft.points.length > 2) {
    return askSet(`polygon:${draft.points.map((point) => place(point).join(",")).join(";")}`);
  }
  if (draft.kind === "brush") {
    const size = planeOf(sheet) ? 1 : (state.look?.label_size[0] ?? 1);
    const radius = Math.max(draft.radius / size, 0.5);
    const points = draft.points.map((point) => /** @type {[number, number]} */ (point));
    const kept = discs(points, draft.radius, 200);
    askSet(kept.map((point) => `disc:${place(point).join(",")},${Number(radius.toFixed(1))}`).join("|"));
  }
}

// ---- Volumes ----

/** Planes go through a voxel. @param {number[]} place */
function goTo(place) {
  const [z, y, x] = place;
  state.at = [z, y, x];
  loadSheets().catch(fail);
  panels.forEach(describe);
  redraw();
}

/** @param {number} number @param {number} to */
function slide(number, to) {
  const plane = state.sheets[number] && planeOf(state.sheets[number]);
  if (!plane) return;
  const place = [...state.at];
  place[plane.across] = Math.min(Math.max(to, 0), plane.count - 1);
  goTo(place);
}

/** @param {number} number @param {number} by */
function scroll(number, by) {
  const plane = state.sheets[number] && planeOf(state.sheets[number]);
  if (plane) slide(number, state.at[plane.across] + by);
}

/** @type {import("./pointer.js").Acts} */
const acts = { askAt, askDraft, slide, scroll, say, reload: () => void loadSheets().catch(fail) };

// ---- Settings ----

/** Shows what is chosen. */
function settings() {
  const look = state.look;
  for (const button of byId("tools").querySelectorAll("button")) {
    const chosen = button.dataset.tool === state.tool;
    button.setAttribute("aria-checked", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    button.hidden = button.dataset.tool === "polygon" && (look?.planes.length ?? 0) > 0;
  }
  byId("stage").classList.toggle("volume", (look?.planes.length ?? 0) > 0);
  for (const id of ["class", "against", "errors"]) select(id).disabled = !look;
  select("class").value = String(state.class ?? "");
  select("against").value = String(state.against ?? "");
  select("errors").value = state.errors;
  if (document.activeElement !== input("set")) input("set").value = state.set;
  input("set").disabled = !look;
  /** @type {HTMLButtonElement} */ (byId("ask-button")).disabled = !look;
  /** @type {HTMLButtonElement} */ (byId("save")).disabled = !state.answer;
  showDisplay();
  drawLayers(byId("layers"), look?.layers ?? [], state.layers, chooseLayer);
  for (const box of byId("methods").querySelectorAll("input")) box.checked = state.methods.includes(box.value);
  drawAnswer(byId("answer"));
  drawParts(byId("parts"), askPart);
  drawLegend(byId("legend"), (set, number) => {
    state.class = number;
    askSet(set, true);
  });
}

/** @param {string} name @param {boolean} add */
function chooseLayer(name, add) {
  const order = state.look?.layers.map((layer) => layer.name) ?? [];
  if (add) {
    const others = state.layers.filter((layer) => layer !== name);
    const chosen = others.length < state.layers.length ? others : [...state.layers, name];
    if (chosen.length === 0) return;
    state.layers = order.filter((layer) => chosen.includes(layer));
  } else state.layers = [name];
  settings();
  if (state.answer) ask();
}

/** @param {string} name @param {boolean} on */
function chooseMethod(name, on) {
  const others = state.methods.filter((method) => method !== name);
  state.methods = on ? [...others, name] : others;
  if (state.methods.length === 0) state.methods = [name];
  settings();
  if (state.answer) ask();
}

/** @param {number} by */
function nextLayer(by) {
  const order = state.look?.layers.map((layer) => layer.name) ?? [];
  const at = order.indexOf(state.layers[state.layers.length - 1]);
  const next = order[at + by];
  if (next) chooseLayer(next, false);
}

/** @param {number} by */
function nextImage(by) {
  const at = state.images.findIndex((image) => image.id === state.image);
  const next = state.images[at + by];
  if (next) chooseImage(next.id);
}

/** @param {import("./state.js").Tool} tool */
function chooseTool(tool) {
  state.tool = tool;
  state.draft = null;
  state.hovered = null;
  settings();
  redraw();
}

function remember() {
  try {
    localStorage.setItem("segcam", JSON.stringify({ theme: document.documentElement.dataset.theme, display: state.display }));
  } catch {
    // A browser that keeps nothing.
  }
}

function recall() {
  document.documentElement.dataset.theme = preferredTheme();
  try {
    const kept = JSON.parse(localStorage.getItem("segcam") ?? "{}");
    if (kept.theme === "dark" || kept.theme === "light") document.documentElement.dataset.theme = kept.theme;
    for (const key of /** @type {(keyof typeof state.display)[]} */ (Object.keys(state.display))) {
      if (typeof kept.display?.[key] === typeof state.display[key]) Object.assign(state.display, { [key]: kept.display[key] });
    }
  } catch {
    // Something else lies there.
  }
}

// ---- Saving and opening ----

/** @param {boolean} open */
function saveMenu(open) {
  const sheet = byId("save-menu");
  sheet.hidden = !open;
  byId("save").setAttribute("aria-expanded", String(open));
  if (!open || !state.answer) return;
  sheet.replaceChildren(...saveItems(state.answer, table(), say));
  /** @type {HTMLElement | null} */ (sheet.querySelector("a, button"))?.focus();
}

/** @param {File} file */
async function openView(file) {
  try {
    const view = viewOf(await file.text());
    if (view.model !== state.about?.model) throw new Error(`this view is of the network ${view.model}, and here is ${state.about?.model}`);
    state.images = await api.images();
    const image = state.images.find((known) => known.name === view.image);
    if (!image) throw new Error(`this view is of ${view.image}: add that image first`);
    Object.assign(state.display, view.display);
    state.layers = view.layers;
    state.methods = view.methods;
    state.class = view.class;
    if (!(await chooseImage(image.id, true))) return;
    state.set = view.set;
    state.part = view.part ?? null;
    state.against = view.against;
    state.sheets.forEach((sheet, at) => (sheet.view = view.views[at] ?? WHOLE));
    if (view.at && state.look?.planes.length) state.at = view.at;
    settings();
    await loadSheets();
    await ask();
  } catch (error) {
    fail(error);
  }
}

// ---- Start ----

function start() {
  recall();
  makeDisplay(remember);
  makeTheme(remember);
  byId("tools").replaceChildren(...TOOLS.map(([tool, words, key, help]) => {
    const button = /** @type {HTMLButtonElement} */ (el("button", null, words));
    button.type = "button";
    button.dataset.tool = tool;
    button.setAttribute("role", "radio");
    button.title = `${help} (${key})`;
    button.addEventListener("click", () => chooseTool(tool));
    return button;
  }));
  byId("tools").addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const shown = TOOLS.filter(([tool]) => !(/** @type {HTMLButtonElement | null} */ (document.querySelector(`[data-tool="${tool}"]`))?.hidden));
    const at = shown.findIndex(([tool]) => tool === state.tool);
    chooseTool(shown[(at + by + shown.length) % shown.length][0]);
    /** @type {HTMLElement | null} */ (document.querySelector('#tools [aria-checked="true"]'))?.focus();
  });
  byId("key-list").replaceChildren(...KEYS.flatMap(([key, words]) => [el("kbd", null, key), el("span", null, words)]));
  const on = (/** @type {string} */ id, /** @type {string} */ event, /** @type {() => void} */ act) => byId(id).addEventListener(event, act);
  on("add", "click", () => input("files").click());
  on("empty-add", "click", () => input("files").click());
  on("files", "change", () => addFiles(input("files").files ?? []).finally(() => (input("files").value = "")));
  on("cancel", "click", cancel);
  on("failure-close", "click", () => (byId("failure").hidden = true));
  on("help", "click", () => /** @type {HTMLDialogElement} */ (byId("keys")).showModal());
  on("save", "click", () => saveMenu(byId("save").getAttribute("aria-expanded") !== "true"));
  on("open-view", "click", () => input("view-file").click());
  on("view-file", "change", () => {
    const file = input("view-file").files?.[0];
    if (file) openView(file).finally(() => (input("view-file").value = ""));
  });
  on("class", "change", () => {
    state.class = Number(select("class").value);
    state.part = null;
    if (state.against === state.class) state.against = null;
    state.sheets.forEach(outlines);
    settings();
    redraw();
    if (state.answer) ask();
  });
  on("against", "change", () => {
    const value = select("against").value;
    state.against = value === "" || Number(value) === state.class ? null : Number(value);
    settings();
    if (state.answer) ask();
  });
  on("errors", "change", () => (state.errors = select("errors").value));
  on("set", "input", () => {
    state.set = input("set").value.trim() || "class";
    state.part = null;
  });
  on("part-before", "click", () => askPart(partBeside(-1)));
  on("part-after", "click", () => askPart(partBeside(1)));
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    state.set = input("set").value.trim() || "class";
    ask(true);
  });
  document.addEventListener("keydown", shortcut);
  document.addEventListener("click", (event) => {
    if (event.target instanceof Node && !byId("save-menu").contains(event.target) && event.target !== byId("save")) saveMenu(false);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("drop").hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) byId("drop").hidden = true;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    byId("drop").hidden = true;
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length === 1 && files[0].name.endsWith(".json")) openView(files[0]);
    else addFiles(files);
  });
  new ResizeObserver(() => {
    arrange();
    redraw();
  }).observe(byId("panels"));
  window.addEventListener("pagehide", () => api.leave(state.view));
}

/** @param {KeyboardEvent} event */
function shortcut(event) {
  const target = event.target;
  if (event.key === "Escape") {
    saveMenu(false);
    byId("failure").hidden = true;
    return cancel();
  }
  const typing = (target instanceof HTMLInputElement && target.type === "text") || target instanceof HTMLSelectElement;
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const tool = TOOLS.find(([, , key]) => key === event.key.toUpperCase());
  const check = (/** @type {string} */ id) => input(id).click();
  /** @type {Record<string, () => void>} */
  const keys = {
    "+": () => zoomAll(1.5), "=": () => zoomAll(1.5), "-": () => zoomAll(1 / 1.5), "0": () => zoomAll(0),
    "<": () => askPart(partBeside(-1)), ">": () => askPart(partBeside(1)),
    "[": () => nextImage(-1), "]": () => nextImage(1), ",": () => nextLayer(-1), ".": () => nextLayer(1),
    c: () => check("contours"), l: () => check("outlines"), d: () => byId("theme").click(), u: () => byId("add").click(),
    "?": () => byId("help").click(), "/": () => input("set").focus(),
  };
  const act = tool ? () => chooseTool(tool[0]) : keys[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
}

async function open() {
  start();
  try {
    const about = (state.about = await api.about());
    state.tables = tablesOf(about.colormaps);
    state.images = about.images;
    byId("network").replaceChildren(el("b", null, about.model), ` · ${about.sides === 3 ? "volumes" : "images"} · ${about.device} · ${about.segcam}`);
    byId("sets").replaceChildren(...about.sets.map(({ form, help }) => {
      const option = new Option(help, form);
      return option;
    }));
    const boxes = (/** @type {string[]} */ names) => names.map((name) => {
      const method = about.methods.find((one) => one.pixel_set === name || one.whole_image === name);
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = name;
      box.addEventListener("change", () => chooseMethod(name, box.checked));
      const label = el("label", null, box, methodTitle(name));
      label.title = `${method?.help ?? ""} (${method?.papers ?? ""})`;
      return label;
    });
    const onPixels = about.methods.flatMap((method) => method.pixel_set ?? []);
    const first = ["seg-hires-grad-cam", "seg-grad-cam"];
    const more = el("details", null, el("summary", null, "More methods"), ...boxes(onPixels.filter((name) => !first.includes(name))));
    const whole = el("details", null, el("summary", null, "Over the whole image"), ...boxes(about.methods.flatMap((method) => method.whole_image ?? [])));
    byId("methods").replaceChildren(...boxes(first), more, whole);
    settings();
    drawGallery();
    if (state.images.length > 0) await chooseImage(state.images[0].id);
    document.body.dataset.ready = "yes";
  } catch (error) {
    fail(error);
  }
}

open();
