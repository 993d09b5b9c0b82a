// @ts-check
// A report: the maps and tables of a run, to look at without the program.

import { drawLegend, el, methodTitle, questionOf, statusOf } from "./answer.js";
import { bytesOf, dimmed, tablesOf } from "./colors.js";
import { makeDisplay, makeTheme, preferredTheme, showDisplay } from "./display.js";
import { explained, outlines, paintSheet, valueAt } from "./sheets.js";
import { arrange, layOut, redraw } from "./stage.js";
import { emptySheet, state } from "./state.js";
import { fillSortable } from "./tables.js";

/** @typedef {{rows: number, columns: number, step: number, values: string}} Packed */
/** @typedef {{picture: string, labels: Packed, truth: Packed | null}} Under */
/** @typedef {import("./api.js").MapAnswer & {share: number | null}} MapData */
/**
 * @typedef {object} FigureData
 * @property {number} class
 * @property {string | null} class_name
 * @property {[number, number][]} score_of
 * @property {string} pixel_set
 * @property {number} pixels
 * @property {[number, number, number] | null} at
 * @property {MapData[]} maps
 * @property {{under: Under | null, pixels: Packed, maps: (Packed | null)[]}[]} sheets
 */
/** @typedef {{why: string[], look: import("./api.js").Look, under: Under | null, figures: FigureData[]}} CaseData */
/**
 * @typedef {object} TableData
 * @property {string} title
 * @property {string | null} note
 * @property {boolean} first
 * @property {import("./tables.js").Column[]} columns
 * @property {{cells: import("./tables.js").Cell[], shown: [number, number] | null}[]} rows
 */
/**
 * @typedef {object} ReportData
 * @property {any} about
 * @property {string} segcam
 * @property {string} title
 * @property {string} model
 * @property {string[]} words
 * @property {CaseData[]} cases
 * @property {TableData[]} tables
 * @property {[string, string][]} charts
 * @property {[string, string][]} settings
 * @property {string[]} command
 */

/** @type {ReportData} */
const data = JSON.parse(document.getElementById("data")?.textContent ?? "{}");

/** @param {string} id @returns {any} */
const part = (id) => document.getElementById(id);
/** Which maps are shown. @type {{case: number, figure: number, layers: Set<string>, methods: Set<string>}} */
const chosen = { case: 0, figure: 0, layers: new Set(), methods: new Set() };

const caseNow = () => data.cases[chosen.case];
/** @returns {FigureData | undefined} */
const figureNow = () => caseNow()?.figures[chosen.figure];

/** @param {Packed} packed */
async function unpacked(packed) {
  const stream = new Blob([bytesOf(packed.values)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** @param {Packed} packed @returns {Promise<import("./api.js").Raster<Uint16Array>>} */
async function labelsOf(packed) {
  const { rows, columns } = packed;
  return { rows, columns, values: new Uint16Array(await unpacked(packed)) };
}

/** @param {Packed} packed @returns {Promise<import("./api.js").Raster<Float32Array>>} */
async function mapOf(packed) {
  const { rows, columns, step } = packed;
  return { rows, columns, values: Float32Array.from(new Int16Array(await unpacked(packed)), (value) => value * step) };
}

/** @param {string} base64 */
async function pictureOf(base64) {
  const image = new Image();
  image.src = `data:image/png;base64,${base64}`;
  await image.decode();
  return createImageBitmap(image);
}

/** The maps of a figure that are shown. @param {FigureData} figure */
const shownOf = (figure) => figure.maps.map((_, at) => at).filter((at) => chosen.layers.has(figure.maps[at].layer) && chosen.methods.has(figure.maps[at].method));

/** The latest one that was begun: what takes longer and began before is not shown. */
let begun = 0;

async function show() {
  const [input, figure, mine] = [caseNow(), figureNow(), ++begun];
  if (!input || !figure) return;
  const shown = shownOf(figure);
  const views = state.look === input.look ? state.sheets.map((sheet) => sheet.view) : [];
  state.look = input.look;
  state.about = { ...data.about, sides: input.look.planes.length ? 3 : 2 };
  state.class = figure.class;
  if (figure.at) state.at = figure.at;
  state.answer = {
    id: "", image: "", class: figure.class, class_name: figure.class_name, score_of: figure.score_of, pixel_set: figure.pixel_set,
    pixels: figure.pixels, at: figure.at, part: null, parts: [], command: "", maps: shown.map((at) => figure.maps[at]),
  };
  const sheets = await Promise.all(figure.sheets.map(async (given, number) => {
    const sheet = emptySheet(input.look.planes.length ? number : null);
    sheet.view = views[number] ?? sheet.view;
    const under = given.under ?? input.under;
    if (!under) return sheet;
    sheet.picture = await pictureOf(under.picture);
    sheet.dim = dimmed(sheet.picture, data.about.cover.backdrop);
    sheet.labels = await labelsOf(under.labels);
    sheet.truth = under.truth && (await labelsOf(under.truth));
    sheet.explained = explained(await labelsOf(given.pixels));
    sheet.maps = await Promise.all(shown.map(async (at) => {
      const packed = given.maps[at];
      return packed && { raster: await mapOf(packed), heat: null, contours: [] };
    }));
    return sheet;
  }));
  if (mine !== begun) return;
  state.sheets = sheets;
  state.sheets.forEach(outlines);
  state.sheets.forEach(paintSheet);
  part("stage").classList.toggle("volume", input.look.planes.length > 0);
  layOut(look);
  words(input, figure);
  redraw();
}

/** @param {CaseData} input @param {FigureData} figure */
function words(input, figure) {
  if (!state.answer) return;
  part("question").textContent = questionOf(state.answer);
  part("asked").textContent = `Pixel set ${figure.pixel_set} of ${input.look.name}`;
  part("why").replaceChildren(...input.why.map((why) => el("li", null, why)));
  drawLegend(part("legend"), () => {});
  part("legend").querySelector(".chain")?.remove();
}

/** Moving, zooming and reading values. @param {import("./stage.js").Shown} one */
function look({ panel, sheet: number, map }) {
  panel.slider.disabled = true;
  const { canvas } = panel;
  /** @type {{x: number, y: number} | null} */
  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held = { x: event.clientX, y: event.clientY };
  });
  canvas.addEventListener("pointerup", () => (held = null));
  canvas.addEventListener("pointermove", (event) => {
    const sheet = state.sheets[number];
    if (!sheet) return;
    if (held) {
      sheet.view = panel.moved(event.clientX - held.x, event.clientY - held.y);
      held = { x: event.clientX, y: event.clientY };
    }
    const pixel = panel.pixel(event);
    state.cursor = panel.holds(pixel) ? { sheet: number, ...pixel } : null;
    part("readout").textContent = state.cursor ? valueAt(number, map, pixel) : "";
    redraw();
  });
  canvas.addEventListener("pointerleave", () => {
    state.cursor = null;
    part("readout").textContent = "";
    redraw();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const sheet = state.sheets[number];
    if (sheet) sheet.view = panel.zoomed(Math.exp(-event.deltaY / 200), event);
    redraw();
  }, { passive: false });
}

/** Shows a figure with all of its maps, or with one of them. @param {number} number @param {number} figure @param {MapData} [map] */
function choose(number, figure, map) {
  chosen.case = number;
  chosen.figure = figure;
  const maps = map ? [map] : (figureNow()?.maps ?? []);
  chosen.layers = new Set(maps.map((one) => one.layer));
  chosen.methods = new Set(maps.map((one) => one.method));
  controls();
  show();
}

/** What stands in the rows of all tables is marked anew. @type {(() => void)[]} */
const marks = [];

/** A row for each map that is in this file; clicks choose what is shown. */
function fillMaps() {
  /** @type {[string, "text" | "number" | "count" | "share", (figure: FigureData, map: MapData, input: CaseData) => string | number | null][]} */
  const known = [
    ["Input", "text", (_figure, _map, input) => (data.cases.length > 1 ? input.look.name : null)],
    ["Class", "text", (figure) => figure.class_name ?? String(figure.class)],
    ["Pixel set", "text", (figure) => figure.pixel_set],
    ["Pixels", "count", (figure) => figure.pixels],
    ["Method", "text", (_, map) => methodTitle(map.method)],
    ["Layer", "text", (_, map) => map.layer],
    ["Score", "number", (_, map) => map.report?.score[0] ?? null],
    ["Smallest", "number", (_, map) => map.report?.raw_min[0] ?? null],
    ["Largest", "number", (_, map) => map.report?.raw_max[0] ?? null],
    ["Through the layer", "share", (_, map) => map.share],
    ["Impossible", "share", (_, map) => /** @type {any} */ (map.report)?.certificate?.impossible ?? null],
    ["Status", "text", (_, map) => map.error ?? (map.report && (statusOf(map.report) || "positive"))],
  ];
  const maps = data.cases.flatMap((input, at) => input.figures.flatMap((figure, number) => figure.maps.map((map) => ({ input, at, figure, number, map }))));
  const columns = known.filter(([, , value]) => maps.some(({ input, figure, map }) => value(figure, map, input) !== null));
  marks.push(fillSortable(part("maps"), columns.map(([name, kind]) => ({ name, kind })), maps.map(({ input, at, figure, number, map }) => ({
    cells: columns.map(([, , value]) => value(figure, map, input)),
    choose: () => choose(at, number, map),
    current: () => at === chosen.case && number === chosen.figure && chosen.layers.has(map.layer) && chosen.methods.has(map.method),
  }))));
}

/** The tables of what many inputs say. */
function fillTables() {
  for (const { title, note, first, columns, rows } of data.tables) {
    const table = el("table", null);
    const section = el("section", "words", el("h2", null, title), ...(note ? [el("p", "hint", note)] : []), el("div", "wide", table));
    part(first ? "before" : "after").append(section);
    const lines = rows.map(({ cells, shown }) => ({
      cells,
      choose: shown && (() => {
        choose(...shown);
        part("look").scrollIntoView({ block: "start" });
      }),
      current: () => shown !== null && shown[0] === chosen.case && shown[1] === chosen.figure,
    }));
    marks.push(fillSortable(table, columns, lines));
  }
  for (const [title, svg] of data.charts) {
    const image = document.createElement("img");
    image.alt = title;
    image.src = `data:image/svg+xml;base64,${svg}`;
    part("before").append(el("section", "words chart", image));
  }
}

function controls() {
  const [input, figure] = [caseNow(), figureNow()];
  marks.forEach((mark) => mark());
  if (!input || !figure) return;
  part("case").value = String(chosen.case);
  part("figure").replaceChildren(...input.figures.map((one, at) => new Option(`${one.class_name ?? `class ${one.class}`}: ${one.pixel_set}`, String(at))));
  part("figure").value = String(chosen.figure);
  part("figure-field").hidden = input.figures.length < 2;
  const boxes = (/** @type {string} */ id, /** @type {string[]} */ names, /** @type {Set<string>} */ set, /** @type {(name: string) => string} */ title) =>
    part(id).replaceChildren(...[...new Set(names)].map((name) => {
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = name;
      box.checked = set.has(name);
      box.addEventListener("change", () => {
        if (box.checked) set.add(name);
        else if (set.size > 1) set.delete(name);
        else box.checked = true;
        marks.forEach((mark) => mark());
        show();
      });
      return el("label", null, box, title(name));
    }));
  boxes("layer-boxes", figure.maps.map((map) => map.layer), chosen.layers, (name) => name);
  boxes("method-boxes", figure.maps.map((map) => map.method), chosen.methods, methodTitle);
}

function begin() {
  document.documentElement.dataset.theme = preferredTheme();
  state.tables = tablesOf(data.about.colormaps);
  state.about = { ...data.about, sides: 2 };
  part("network").replaceChildren(el("b", null, data.title.split(/[\\/]/).pop() ?? ""), ` · ${data.model} · segcam ${data.segcam}`);
  part("overview").hidden = data.words.length === 0;
  part("overview").replaceChildren(...data.words.map((text) => el("p", null, text)));
  part("look").hidden = data.cases.length === 0;
  part("case").replaceChildren(...data.cases.map((input, at) => new Option(input.look.name, String(at))));
  part("case-field").hidden = data.cases.length < 2;
  part("settings").replaceChildren(...data.settings.flatMap(([name, value]) => [el("dt", null, name), el("dd", null, value)]));
  part("command").textContent = data.command.join(" ");
  makeDisplay(() => {});
  showDisplay();
  makeTheme(() => {});
  if (data.cases.length > 0) fillMaps();
  fillTables();
  part("case").addEventListener("change", () => choose(Number(part("case").value), 0));
  part("figure").addEventListener("change", () => choose(chosen.case, Number(part("figure").value)));
  new ResizeObserver(() => {
    arrange();
    redraw();
  }).observe(part("panels"));
  const first = figureNow();
  chosen.layers = new Set(first?.maps.map((map) => map.layer));
  chosen.methods = new Set(first?.maps.map((map) => map.method));
  controls();
  show().then(() => (document.body.dataset.ready = "yes"));
}

begin();
