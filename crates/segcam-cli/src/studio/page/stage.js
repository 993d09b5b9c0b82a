// @ts-check
// The panels side by side.

import { methodTitle, statusOf } from "./answer.js";
import { Panel, WHOLE } from "./panel.js";
import { endsOf, table } from "./sheets.js";
import { planeOf, sheetPlace, sizeOf, state } from "./state.js";

/** A panel that shows a sheet, and on it a map; -1 for none. @typedef {{panel: Panel, sheet: number, map: number}} Shown */

/** @type {Shown[]} */
export let panels = [];
let drawn = 0;

const stage = () => /** @type {HTMLElement} */ (document.getElementById("panels"));

/** Makes the panels that there should be, and keeps those that are there. @param {(shown: Shown) => void} listen is told of new ones */
export function layOut(listen) {
  const maps = state.answer?.maps.length ?? 0;
  /** @type {{sheet: number, map: number}[]} */
  const wanted = [];
  const volume = state.sheets.length > 1;
  if (!volume || maps === 0) state.sheets.forEach((_, sheet) => wanted.push({ sheet, map: -1 }));
  for (let map = 0; map < maps; map++) state.sheets.forEach((_, sheet) => wanted.push({ sheet, map }));
  const kept = panels;
  panels = wanted.map(({ sheet, map }) => {
    const known = kept.find((one) => one.sheet === sheet && one.map === map);
    if (known) return known;
    const made = { panel: new Panel("image"), sheet, map };
    listen(made);
    return made;
  });
  stage().replaceChildren(...panels.map(({ panel }) => panel.element));
  panels.forEach(describe);
  arrange();
  redraw();
}

/** What a panel is called, and its bar of colours. @param {Shown} shown */
export function describe({ panel, sheet, map }) {
  const shown = state.sheets[sheet];
  const plane = shown ? planeOf(shown) : null;
  const where = plane ? `${plane.name} ${state.at[plane.across]}` : "";
  if (plane) panel.slice(plane.name, state.at[plane.across], plane.count);
  const answer = state.answer?.maps[map];
  if (!answer) {
    panel.title("Prediction", plane?.name ?? state.look?.name ?? "");
    panel.canvas.setAttribute("aria-label", `Image with the prediction's outlines${where ? `, ${where}` : ""}. Arrows move a cross, Enter asks.`);
    panel.scale(null, { low: 0, high: 0 });
    panel.say("");
    return;
  }
  panel.title(methodTitle(answer.method), `${answer.layer}${plane ? `, ${plane.name}` : ""}`);
  panel.canvas.setAttribute("aria-label", `Map of ${methodTitle(answer.method)} at layer ${answer.layer}${where ? `, ${where}` : ""}`);
  panel.scale(answer.report ? table() : null, endsOf(map));
  panel.say(answer.error ?? (answer.report ? statusOf(answer.report) : ""));
}

/** @param {import("./api.js").Answer} answer */
function shapeOf(answer) {
  const count = (/** @type {"layer" | "method"} */ what) => new Set(answer.maps.map((map) => map[what])).size;
  return { layers: count("layer"), methods: count("method") };
}

/** Columns that make panels as large as possible. */
export function arrange() {
  const into = stage();
  const count = panels.length;
  const { width, height } = into.getBoundingClientRect();
  const sheet = state.sheets[0];
  const volume = state.sheets.length > 1;
  const [rows, columns] = sheet ? sizeOf(sheet) : [1, 1];
  let best = { columns: 1, size: 0 };
  for (let across = 1; across <= Math.max(count, 1); across++) {
    if (volume && count > 3 && across !== 3) continue;
    const down = Math.ceil(count / across);
    const size = Math.min((width / across - 10) / columns, (height / down - 37) / rows);
    if (size > best.size * 1.001) best = { columns: across, size };
  }
  // A row for each layer and a column for each method, beside the prediction.
  const { layers, methods } = state.answer ? shapeOf(state.answer) : { layers: 1, methods: 1 };
  const table = !volume && layers > 1 && methods > 1;
  into.style.gridTemplateColumns = `repeat(${table ? methods + 1 : best.columns}, minmax(0, 1fr))`;
  into.style.gridTemplateRows = `repeat(${table ? layers : Math.ceil(count / best.columns)}, minmax(0, 1fr))`;
  panels.forEach(({ panel, map }) => {
    const row = Math.floor(map / methods) + 1;
    const column = (map % methods) + 2;
    panel.element.style.gridArea = !table ? "auto" : map < 0 ? `1 / 1 / span ${layers} / auto` : `${row} / ${column} / auto / auto`;
  });
}

export function redraw() {
  if (drawn) return;
  drawn = requestAnimationFrame(() => {
    drawn = 0;
    panels.forEach(drawPanel);
    window.dispatchEvent(new CustomEvent("segcam-drawn"));
  });
}

/** @param {Shown} shown */
function drawPanel({ panel, sheet: number, map }) {
  const sheet = state.sheets[number];
  const look = state.look;
  if (!sheet || !look) {
    panel.scene = null;
    panel.draw();
    return;
  }
  const heat = map >= 0 ? (sheet.maps[map] ?? null) : null;
  const plane = planeOf(sheet);
  const { outlines: shown, opacity } = state.display;
  const at = state.cursor?.sheet === number ? state.cursor : null;
  const draft = state.draft?.sheet === number ? state.draft : null;
  panel.view = sheet.view;
  panel.scene = {
    picture: sheet.picture,
    // What is right and wrong stands out on grey, too.
    dim: (map >= 0 ? opacity > 0 : shown && sheet.truth) ? sheet.dim : null,
    size: sizeOf(sheet),
    labelSize: plane ? [1, 1] : look.label_size,
    mapSize: plane ? [1, 1] : look.map_size,
    fill: map < 0 && shown ? sheet.fill : null,
    heat: heat?.heat ?? null,
    opacity: opacity / 100,
    contours: heat && state.display.contours ? heat.contours : [],
    outlines: shown ? sheet.outlines : [],
    explained: sheet.explained,
    hovered: state.hovered?.sheet === number ? state.hovered.path : null,
    cursor: at && { y: at.y - 0.5, x: at.x - 0.5 },
    cross: plane ? sheetPlace(sheet, state.at) : null,
    letters: plane?.columns.letters && plane.rows.letters ? [...plane.columns.letters, ...plane.rows.letters] : null,
    draft: draft && { kind: draft.kind, points: draft.points, radius: draft.radius },
  };
  panel.canvas.classList.toggle("pan", state.tool === "pan");
  panel.draw();
}

/** All panels so many times larger; 0 for the whole image. @param {number} times */
export function zoomAll(times) {
  for (const [number, sheet] of state.sheets.entries()) {
    const one = panels.find((panel) => panel.sheet === number);
    if (one) sheet.view = times === 0 ? WHOLE : one.panel.zoomed(times, null);
  }
  redraw();
}
