// @ts-check
// How maps are shown: the bar below the pictures, dark or light. The studio and its reports have the same.

import { paintSheet, table } from "./sheets.js";
import { describe, panels, redraw, zoomAll } from "./stage.js";
import { state } from "./state.js";

const CONTROLS =
  '<label class="field">Heat <input type="range" id="opacity" min="0" max="100" step="1"></label>' +
  '<label class="field">Colours <select id="colormap"></select></label>' +
  '<label class="field">Scale <select id="scale"></select></label>' +
  '<label class="check"><input type="checkbox" id="contours"> Contours</label>' +
  '<label class="check"><input type="checkbox" id="outlines"> Outlines</label>' +
  '<span class="room"></span>' +
  '<span class="zoom"><button type="button" id="zoom-out" aria-label="Zoom out" title="Zoom out">−</button>' +
  '<button type="button" id="zoom-fit" title="Whole image">Fit</button>' +
  '<button type="button" id="zoom-in" aria-label="Zoom in" title="Zoom in">+</button></span>';

/** @param {string} id @returns {any} */
const control = (id) => document.getElementById(id);

/** Makes the bar. @param {() => void} kept is told when something was chosen */
export function makeDisplay(kept) {
  control("display").innerHTML = CONTROLS;
  const on = (/** @type {string} */ id, /** @type {string} */ event, /** @type {() => void} */ act) => control(id).addEventListener(event, act);
  const chosen = () => {
    showDisplay();
    repaint();
    kept();
  };
  on("opacity", "input", () => {
    state.display.opacity = Number(control("opacity").value);
    redraw();
  });
  on("opacity", "change", kept);
  for (const which of /** @type {const} */ (["colormap", "scale"])) {
    on(which, "change", () => {
      state.display[which] = control(which).value;
      chosen();
    });
  }
  for (const which of /** @type {const} */ (["contours", "outlines"])) {
    on(which, "change", () => {
      state.display[which] = control(which).checked;
      chosen();
    });
  }
  on("zoom-in", "click", () => zoomAll(1.5));
  on("zoom-out", "click", () => zoomAll(1 / 1.5));
  on("zoom-fit", "click", () => zoomAll(0));
}

/** Shows what is chosen. */
export function showDisplay() {
  const { display, tables } = state;
  if (control("colormap").options.length !== tables.length) {
    const names = [...tables].sort((a, b) => Number(b.diverging) - Number(a.diverging));
    control("colormap").replaceChildren(...names.map(({ name }) => new Option(name, name)));
  }
  const scales = table()?.diverging
    ? [["own", "each map's own"], ["shared", "one for all maps"]]
    : [["max-abs", "strongest for or against"], ["max", "strongest for"], ["min-max", "smallest to largest"], ["shared", "one for all maps"]];
  if (!scales.some(([name]) => name === display.scale)) display.scale = scales[0][0];
  control("scale").replaceChildren(...scales.map(([name, words]) => new Option(words, name)));
  control("scale").value = display.scale;
  control("colormap").value = display.colormap;
  control("opacity").value = String(display.opacity);
  control("contours").checked = display.contours;
  control("outlines").checked = display.outlines;
}

function repaint() {
  state.sheets.forEach(paintSheet);
  panels.forEach(describe);
  redraw();
}

export const preferredTheme = () => (window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

/** The button between dark and light. @param {() => void} kept */
export function makeTheme(kept) {
  const { dataset } = document.documentElement;
  const show = () => (control("theme").textContent = dataset.theme === "dark" ? "☀" : "☾");
  control("theme").addEventListener("click", () => {
    dataset.theme = dataset.theme === "dark" ? "light" : "dark";
    show();
    kept();
  });
  show();
}
