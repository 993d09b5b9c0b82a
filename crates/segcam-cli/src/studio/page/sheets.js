// @ts-check
// How sheets are painted: outlines of what is predicted, colours and contours of maps.

import { ANNOTATED, FALSE_ALARM, HIT, MISSED, classColor, painted, scaled, short } from "./colors.js";
import { contour, isThin, outline } from "./shapes.js";
import { background, className, classOf, isClass, labelIndex, outputPlace, planeOf, state } from "./state.js";

/** @typedef {import("./state.js").Sheet} Sheet */

/** Outlines of classes, or paint where outlines would hide too much; what is right and wrong with an annotation. @param {Sheet} sheet */
export function outlines(sheet) {
  const { labels, truth } = sheet;
  sheet.outlines = [];
  sheet.fill = null;
  if (!labels || !state.look) return;
  const { rows, columns, values } = labels;
  const painter = new ImageData(columns, rows);
  let any = false;
  /** @param {(at: number) => boolean} member @param {string} color @param {number} cover */
  const fill = (member, color, cover) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    for (let at = 0; at < values.length; at++) {
      if (member(at)) painter.data.set([r, g, b, 255 * cover], 4 * at);
    }
    any = true;
  };
  const asked = state.class;
  if (truth && asked !== null) {
    const should = (/** @type {number} */ at) => truth.values[at] === (state.look?.classes.length === 1 ? 1 : asked);
    const left = (/** @type {number} */ at) => truth.values[at] === 65535;
    const is = (/** @type {number} */ at) => isClass(values[at], asked);
    fill((at) => is(at) && should(at), HIT, 0.8);
    fill((at) => !is(at) && should(at), MISSED, 0.8);
    fill((at) => is(at) && !should(at) && !left(at), FALSE_ALARM, 0.8);
    if (!isThin(rows, columns, should)) {
      const path = outline(rows, columns, should);
      if (path) sheet.outlines.push({ path, color: ANNOTATED });
    }
  }
  const seen = new Set(values);
  const many = [...seen].filter((label) => classOf(label) !== null).length > 1;
  for (const label of seen) {
    const number = classOf(label);
    if (number === null) continue;
    const color = classColor(number, background());
    const member = (/** @type {number} */ at) => values[at] === label;
    const thin = isThin(rows, columns, member);
    if (!truth && (thin || many)) fill(member, color, thin ? 0.6 : 0.35);
    const path = thin ? null : outline(rows, columns, member);
    if (path) sheet.outlines.push({ path, color });
  }
  if (any) {
    sheet.fill = new OffscreenCanvas(columns, rows);
    sheet.fill.getContext("2d")?.putImageData(painter, 0, 0);
  }
}

/**
 * The outline of the explained pixels; none where it would cover the map.
 * @param {import("./api.js").Raster<Uint8Array | Uint16Array>} pixels
 */
export function explained({ rows, columns, values }) {
  const member = (/** @type {number} */ at) => values[at] !== 0;
  return isThin(rows, columns, member) ? null : outline(rows, columns, member);
}

/** The colours that are chosen. */
export const table = () => state.tables.find((known) => known.name === state.display.colormap) ?? state.tables[0];

/** The values of the first and of the last colour of a map. @param {number} at */
export function endsOf(at) {
  const reports = state.answer?.maps.map((map) => map.report) ?? [];
  const range = (/** @type {import("./api.js").MapReport | null | undefined} */ report) => ({ low: report?.raw_min[0] ?? 0, high: report?.raw_max[0] ?? 0 });
  const { scale } = state.display;
  const diverging = table().diverging;
  if (scale === "shared") {
    const all = reports.filter((report) => report !== null).map(range);
    const shared = { low: Math.min(...all.map((one) => one.low)), high: Math.max(...all.map((one) => one.high)) };
    return scaled(shared, diverging ? "signed" : "max-abs");
  }
  return scaled(range(reports[at]), diverging ? "signed" : /** @type {import("./colors.js").Scale} */ (scale === "own" ? "max-abs" : scale));
}

/** @param {Sheet} sheet */
export function paintSheet(sheet) {
  const colors = table();
  sheet.maps.forEach((map, at) => {
    const report = state.answer?.maps[at]?.report;
    if (!map || !report) return;
    const { rows, columns, values } = map.raster;
    const ends = endsOf(at);
    map.heat = new OffscreenCanvas(columns, rows);
    map.heat.getContext("2d")?.putImageData(painted(values, columns, ends, colors, state.about?.cover.solid_from ?? 0.35), 0, 0);
    map.contours = [];
    if (state.display.contours && ["positive", "all-negative"].includes(report.status[0])) {
      const strongest = Math.max(ends.high, -ends.low);
      for (const part of [0.25, 0.5, 0.75]) {
        map.contours.push({ path: contour(map.raster, part * strongest), color: `rgb(255 240 200 / ${0.35 + 0.5 * part})` });
        if (colors.diverging) map.contours.push({ path: contour(map.raster, -part * strongest), color: `rgb(190 230 255 / ${0.35 + 0.5 * part})` });
      }
    }
  });
}

/** What is at a pixel of a sheet's picture: its place, its class, the map's value there. @param {number} number @param {number} map @param {{y: number, x: number}} pixel */
export function valueAt(number, map, pixel) {
  const sheet = state.sheets[number];
  const look = state.look;
  if (!sheet || !look) return "";
  const words = [outputPlace(sheet, pixel).join(", ")];
  const index = labelIndex(sheet, pixel);
  const label = index === null ? null : sheet.labels?.values[index];
  if (label != null) words.push(classOf(label) === null ? "background" : className(/** @type {number} */ (classOf(label))));
  const heat = sheet.maps[map]?.raster;
  if (heat) {
    const [high, wide] = planeOf(sheet) ? [1, 1] : look.map_size;
    const value = heat.values[Math.floor(pixel.y / high) * heat.columns + Math.floor(pixel.x / wide)];
    const ends = endsOf(map);
    const strongest = Math.max(ends.high, -ends.low);
    if (value !== undefined) words.push(`${short(value)}${strongest > 0 ? ` (${Math.round((100 * value) / strongest)} %)`.replace("-", "−") : ""}`);
  }
  return words.join(" · ");
}
