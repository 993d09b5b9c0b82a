// @ts-check
// A report: the maps of a run, to look at without the program.

import { drawLegend, el, methodTitle, questionOf, statusOf } from "./answer.js";
import { bytesOf, dimmed, short, tablesOf } from "./colors.js";
import { endsOf, explained, outlines, paintSheet, table } from "./sheets.js";
import { arrange, describe, layOut, panels, redraw, zoomAll } from "./stage.js";
import { className, classOf, emptySheet, labelIndex, outputPlace, planeOf, state } from "./state.js";

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
/** @typedef {{about: any, look: import("./api.js").Look, under: Under | null, figures: FigureData[], report: any}} ReportData */

/** @type {ReportData} */
const data = JSON.parse(document.getElementById("data")?.textContent ?? "{}");

/** @param {string} id @returns {any} */
const part = (id) => document.getElementById(id);
/** Which maps are shown. @type {{figure: number, layers: Set<string>, methods: Set<string>}} */
const chosen = { figure: 0, layers: new Set(), methods: new Set() };

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

async function show() {
  const figure = data.figures[chosen.figure];
  if (!figure) return;
  const shown = shownOf(figure);
  state.class = figure.class;
  if (figure.at) state.at = figure.at;
  state.answer = {
    id: "", image: "", class: figure.class, class_name: figure.class_name, score_of: figure.score_of, pixel_set: figure.pixel_set,
    pixels: figure.pixels, at: figure.at, command: "", maps: shown.map((at) => figure.maps[at]),
  };
  const views = state.sheets.map((sheet) => sheet.view);
  state.sheets = await Promise.all(figure.sheets.map(async (given, number) => {
    const sheet = emptySheet(data.look.planes.length ? number : null);
    sheet.view = views[number] ?? sheet.view;
    const under = given.under ?? data.under;
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
    outlines(sheet);
    paintSheet(sheet);
    return sheet;
  }));
  layOut(look);
  words(figure);
  redraw();
}

/** @param {FigureData} figure */
function words(figure) {
  if (!state.answer) return;
  part("question").textContent = questionOf(state.answer);
  part("asked").textContent = `Pixel set ${figure.pixel_set} of ${data.report.input}`;
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

/** @param {number} number @param {number} map @param {{y: number, x: number}} pixel */
function valueAt(number, map, pixel) {
  const sheet = state.sheets[number];
  const said = [outputPlace(sheet, pixel).join(", ")];
  const index = labelIndex(sheet, pixel);
  const label = index === null ? null : classOf(sheet.labels?.values[index] ?? 0);
  said.push(label === null ? "background" : className(label));
  const heat = sheet.maps[map]?.raster;
  if (heat) {
    const [high, wide] = planeOf(sheet) ? [1, 1] : data.look.map_size;
    const value = heat.values[Math.floor(pixel.y / high) * heat.columns + Math.floor(pixel.x / wide)];
    const ends = endsOf(map);
    if (value !== undefined) said.push(`${short(value)} of ${short(Math.max(ends.high, -ends.low))}`);
  }
  return said.join(" · ");
}

/** A row for each map of each question; clicks sort, and choose what is shown. */
function fillTable() {
  /** @type {[string, boolean, (figure: FigureData, map: MapData) => string | number | null][]} */
  const columns = [
    ["Class", false, (figure) => figure.class_name ?? String(figure.class)],
    ["Pixel set", false, (figure) => figure.pixel_set],
    ["Pixels", true, (figure) => figure.pixels],
    ["Method", false, (_, map) => methodTitle(map.method)],
    ["Layer", false, (_, map) => map.layer],
    ["Score", true, (_, map) => map.report?.score[0] ?? null],
    ["Smallest", true, (_, map) => map.report?.raw_min[0] ?? null],
    ["Largest", true, (_, map) => map.report?.raw_max[0] ?? null],
    ["Through the layer", true, (_, map) => map.share],
    ["Impossible", true, (_, map) => /** @type {any} */ (map.report)?.certificate?.impossible ?? null],
    ["Status", false, (_, map) => map.error ?? (map.report && (statusOf(map.report) || "positive"))],
  ];
  const percents = ["Through the layer", "Impossible"];
  const rows = data.figures.flatMap((figure, number) => figure.maps.map((map) => ({ figure, number, map })));
  const body = document.createElement("tbody");
  const head = document.createElement("tr");
  const fill = () => body.replaceChildren(...rows.map(({ figure, number, map }) => {
    const row = document.createElement("tr");
    row.classList.toggle("current", number === chosen.figure && chosen.layers.has(map.layer) && chosen.methods.has(map.method));
    for (const [name, isNumber, value] of columns) {
      const found = value(figure, map);
      const text = found === null ? "–" : typeof found !== "number" ? found : percents.includes(name) ? `${(100 * found).toFixed(1)} %` : name === "Pixels" ? String(found) : short(found);
      const cell = el("td", isNumber ? "number" : null, text.replace("-", isNumber ? "−" : "-"));
      row.append(cell);
    }
    row.addEventListener("click", () => {
      chosen.figure = number;
      chosen.layers = new Set([map.layer]);
      chosen.methods = new Set([map.method]);
      controls();
      show();
    });
    return row;
  }));
  columns.forEach(([name, isNumber, value]) => {
    const cell = document.createElement("th");
    cell.className = isNumber ? "number" : "";
    const button = /** @type {HTMLButtonElement} */ (el("button", null, name));
    button.type = "button";
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") === "ascending";
      head.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.sort((a, b) => {
        const [x, y] = [value(a.figure, a.map) ?? -Infinity, value(b.figure, b.map) ?? -Infinity];
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      });
      fill();
    });
    cell.append(button);
    head.append(cell);
  });
  fill();
  part("maps").replaceChildren(el("thead", null, head), body);
  return fill;
}

/** @type {() => void} */
let mark = () => {};

function controls() {
  const figure = data.figures[chosen.figure];
  part("figure").value = String(chosen.figure);
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
        mark();
        show();
      });
      return el("label", null, box, title(name));
    }));
  boxes("layer-boxes", figure.maps.map((map) => map.layer), chosen.layers, (name) => name);
  boxes("method-boxes", figure.maps.map((map) => map.method), chosen.methods, methodTitle);
  const { display } = state;
  const scales = table().diverging
    ? [["own", "each map's own"], ["shared", "one for all maps"]]
    : [["max-abs", "strongest for or against"], ["max", "strongest for"], ["min-max", "smallest to largest"], ["shared", "one for all maps"]];
  if (!scales.some(([name]) => name === display.scale)) display.scale = scales[0][0];
  part("scale").replaceChildren(...scales.map(([name, words]) => new Option(words, name)));
  part("scale").value = display.scale;
  part("colormap").value = display.colormap;
  part("opacity").value = String(display.opacity);
  part("contours").checked = display.contours;
  part("outlines").checked = display.outlines;
  mark();
}

function repaintAll() {
  state.sheets.forEach(paintSheet);
  panels.forEach(describe);
  controls();
  redraw();
}

function begin() {
  const { report, about } = data;
  document.documentElement.dataset.theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  state.tables = tablesOf(about.colormaps);
  state.about = { ...about, sides: data.look.planes.length ? 3 : 2 };
  state.look = data.look;
  part("network").replaceChildren(el("b", null, report.input.split(/[\\/]/).pop()), ` · ${report.model} · segcam ${report.segcam}`);
  part("figure").replaceChildren(...data.figures.map((figure, at) => new Option(`${figure.class_name ?? `class ${figure.class}`}: ${figure.pixel_set}`, String(at))));
  part("figure-field").hidden = data.figures.length < 2;
  const names = [...state.tables].sort((a, b) => Number(b.diverging) - Number(a.diverging));
  part("colormap").replaceChildren(...names.map(({ name }) => new Option(name, name)));
  const first = data.figures[0];
  chosen.layers = new Set(first?.maps.map((map) => map.layer));
  chosen.methods = new Set(first?.maps.map((map) => map.method));
  const settings = [["Input", report.input], ["Shape", report.input_shape.join(" × ")], ["Network", report.model], ["Weights", report.weights], ["Engine", report.engine], ["Device", report.device], ...report.notes.map((/** @type {string} */ note) => ["Note", note])];
  for (const failure of report.failures) settings.push(["Failed", failure.error]);
  part("settings").replaceChildren(...settings.flatMap(([name, value]) => [el("dt", null, name), el("dd", null, String(value))]));
  part("command").textContent = report.command.join(" ");
  mark = fillTable();
  controls();
  const on = (/** @type {string} */ id, /** @type {string} */ event, /** @type {() => void} */ act) => part(id).addEventListener(event, act);
  on("figure", "change", () => {
    chosen.figure = Number(part("figure").value);
    controls();
    show();
  });
  on("opacity", "input", () => {
    state.display.opacity = Number(part("opacity").value);
    redraw();
  });
  on("colormap", "change", () => {
    state.display.colormap = part("colormap").value;
    controls();
    repaintAll();
  });
  on("scale", "change", () => {
    state.display.scale = part("scale").value;
    repaintAll();
  });
  on("contours", "change", () => {
    state.display.contours = part("contours").checked;
    repaintAll();
  });
  on("outlines", "change", () => {
    state.display.outlines = part("outlines").checked;
    redraw();
  });
  on("zoom-in", "click", () => zoomAll(1.5));
  on("zoom-out", "click", () => zoomAll(1 / 1.5));
  on("zoom-fit", "click", () => zoomAll(0));
  const theme = () => (part("theme").textContent = document.documentElement.dataset.theme === "dark" ? "☀" : "☾");
  on("theme", "click", () => {
    document.documentElement.dataset.theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    theme();
  });
  theme();
  new ResizeObserver(() => {
    arrange();
    redraw();
  }).observe(part("panels"));
  show().then(() => (document.body.dataset.ready = "yes"));
}

begin();
