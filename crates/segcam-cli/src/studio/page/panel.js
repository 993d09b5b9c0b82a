// @ts-check
// A panel: a picture, and on top of it heat, outlines and what is being drawn.

import { EXPLAINED, bar, short } from "./colors.js";

/** Which part of a picture is seen: so many times enlarged, around a place in parts of its sides. @typedef {{zoom: number, y: number, x: number}} View */
/** @typedef {{path: Path2D, color: string}} Line */
/**
 * @typedef {object} Scene
 * @property {ImageBitmap | HTMLImageElement | null} picture
 * @property {OffscreenCanvas | null} dim the picture under heat
 * @property {[number, number]} size rows and columns of the picture
 * @property {[number, number]} labelSize
 * @property {[number, number]} mapSize
 * @property {OffscreenCanvas | null} fill what is painted in the colours of classes
 * @property {OffscreenCanvas | null} heat
 * @property {number} opacity
 * @property {Line[]} contours in the map's pixels
 * @property {Line[]} outlines in pixels of labels
 * @property {Path2D | null} explained
 * @property {Path2D | null} hovered
 * @property {{y: number, x: number} | null} cursor in pixels of the picture
 * @property {{y: number, x: number} | null} cross
 * @property {[string, string, string, string] | null} letters left, right, top, bottom
 * @property {{kind: string, points: [number, number][], radius: number} | null} draft
 */

/** The view that shows everything. @type {View} */
export const WHOLE = { zoom: 1, y: 0.5, x: 0.5 };
const MOST = 64;

/** @param {View} view @returns {View} */
function bounded(view) {
  const zoom = Math.min(Math.max(view.zoom, 1), MOST);
  const room = 0.5 / zoom;
  const inside = (/** @type {number} */ at) => Math.min(Math.max(at, room), 1 - room);
  return { zoom, y: inside(view.y), x: inside(view.x) };
}

export class Panel {
  /** @param {string} label what it is called for those who do not see it */
  constructor(label) {
    this.element = document.createElement("div");
    this.element.className = "panel";
    this.element.innerHTML =
      '<div class="title"><b></b><i></i><span class="scalebar" hidden><span></span><canvas aria-hidden="true"></canvas><span></span></span></div>' +
      '<div class="view"><canvas tabindex="0" role="application"></canvas><p class="note" hidden></p></div>' +
      '<label class="slider" hidden><span></span><input type="range" min="0" step="1"><output></output></label>';
    const one = (/** @type {string} */ selector) => /** @type {HTMLElement} */ (this.element.querySelector(selector));
    this.canvas = /** @type {HTMLCanvasElement} */ (one(".view canvas"));
    this.canvas.setAttribute("aria-label", label);
    this.box = one(".view");
    this.name = one(".title b");
    this.detail = one(".title i");
    this.scalebar = one(".scalebar");
    this.note = one(".note");
    this.slices = one(".slider");
    this.slider = /** @type {HTMLInputElement} */ (one(".slider input"));
    /** @type {Scene | null} */
    this.scene = null;
    /** @type {View} */
    this.view = WHOLE;
  }

  /** @param {string} name @param {string} detail */
  title(name, detail) {
    this.name.textContent = name;
    this.detail.textContent = detail;
    this.element.title = detail;
  }

  /** Where a plane stands, of how many slices. @param {string} name @param {number} at @param {number} count */
  slice(name, at, count) {
    this.slices.hidden = false;
    const [words, number] = [this.slices.querySelector("span"), this.slices.querySelector("output")];
    if (words) words.textContent = name;
    if (number) number.textContent = `${at} / ${count - 1}`;
    this.slider.max = String(count - 1);
    this.slider.value = String(at);
  }

  /** @param {import("./colors.js").Table | null} table @param {import("./colors.js").Range} ends */
  scale(table, ends) {
    this.scalebar.hidden = table === null;
    if (!table) return;
    const [low, high] = this.scalebar.querySelectorAll("span");
    low.textContent = short(ends.low);
    high.textContent = short(ends.high);
    bar(/** @type {HTMLCanvasElement} */ (this.scalebar.querySelector("canvas")), table);
  }

  /** @param {string} text */
  say(text) {
    this.note.hidden = text === "";
    this.note.textContent = text;
  }

  /** Pixels of the screen for one of the picture, and where its first one is. @param {View} [view] */
  place(view = this.view) {
    const { width, height } = this.box.getBoundingClientRect();
    const [rows, columns] = this.scene?.size ?? [1, 1];
    const scale = Math.min(width / columns, height / rows) * view.zoom;
    return { scale, left: width / 2 - view.x * columns * scale, top: height / 2 - view.y * rows * scale };
  }

  /** The picture's pixel under a place of the screen. @param {{clientX: number, clientY: number}} event */
  pixel({ clientX, clientY }) {
    const box = this.box.getBoundingClientRect();
    const { scale, left, top } = this.place();
    return { y: (clientY - box.top - top) / scale, x: (clientX - box.left - left) / scale };
  }

  /** @param {{y: number, x: number}} pixel */
  holds({ y, x }) {
    const [rows, columns] = this.scene?.size ?? [0, 0];
    return y >= 0 && x >= 0 && y < rows && x < columns;
  }

  /** The view that is so many times larger, with a place of the screen where it is. @param {number} times @param {{clientX: number, clientY: number} | null} at @returns {View} */
  zoomed(times, at) {
    const [rows, columns] = this.scene?.size ?? [1, 1];
    const zoom = Math.min(Math.max(this.view.zoom * times, 1), MOST);
    if (!at) return bounded({ ...this.view, zoom });
    const pixel = this.pixel(at);
    const box = this.box.getBoundingClientRect();
    const { scale } = this.place({ ...this.view, zoom });
    const y = (pixel.y - (at.clientY - box.top - box.height / 2) / scale) / rows;
    const x = (pixel.x - (at.clientX - box.left - box.width / 2) / scale) / columns;
    return bounded({ zoom, y, x });
  }

  /** @param {number} right @param {number} down in pixels of the screen @returns {View} */
  moved(right, down) {
    const [rows, columns] = this.scene?.size ?? [1, 1];
    const { scale } = this.place();
    return bounded({ ...this.view, y: this.view.y - down / scale / rows, x: this.view.x - right / scale / columns });
  }

  draw() {
    const { width, height } = this.box.getBoundingClientRect();
    const dots = window.devicePixelRatio || 1;
    const [wide, high] = [Math.max(Math.round(width * dots), 1), Math.max(Math.round(height * dots), 1)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
    }
    const context = this.canvas.getContext("2d");
    const scene = this.scene;
    if (!context) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, wide, high);
    if (!scene || !scene.picture) return;
    const { scale, left, top } = this.place();
    const [rows, columns] = scene.size;
    const onPicture = () => context.setTransform(scale * dots, 0, 0, scale * dots, left * dots, top * dots);
    onPicture();
    context.imageSmoothingEnabled = scale * dots < 12;
    context.imageSmoothingQuality = "high";
    context.drawImage(scene.heat && scene.dim ? scene.dim : scene.picture, 0, 0, columns, rows);
    const [mapHigh, mapWide] = scene.mapSize;
    if (scene.heat) {
      context.globalAlpha = scene.opacity;
      context.drawImage(scene.heat, 0, 0, scene.heat.width * mapWide, scene.heat.height * mapHigh);
      context.globalAlpha = 1;
    }
    const [labelHigh, labelWide] = scene.labelSize;
    if (scene.fill) {
      context.imageSmoothingEnabled = false;
      context.drawImage(scene.fill, 0, 0, scene.fill.width * labelWide, scene.fill.height * labelHigh);
    }
    /** @param {Path2D} path @param {string} color @param {number} thick @param {boolean} edge @param {[number, number]} size */
    const stroke = (path, color, thick, edge, [high, wide]) => {
      onPicture();
      context.scale(wide, high);
      const pixel = 1 / (scale * Math.max(wide, 1e-9));
      context.lineJoin = "round";
      if (edge) {
        context.strokeStyle = "rgb(0 0 0 / 55%)";
        context.lineWidth = (thick + 1.6) * pixel;
        context.stroke(path);
      }
      context.strokeStyle = color;
      context.lineWidth = thick * pixel;
      context.stroke(path);
    };
    for (const { path, color } of scene.contours) stroke(path, color, 1, false, scene.mapSize);
    for (const { path, color } of scene.outlines) stroke(path, color, 1.1, true, scene.labelSize);
    if (scene.hovered) stroke(scene.hovered, "rgb(255 255 255 / 75%)", 1.3, true, scene.labelSize);
    if (scene.explained) stroke(scene.explained, EXPLAINED, 1.8, true, scene.labelSize);
    this.#draft(context, scene, onPicture, scale);
    context.setTransform(dots, 0, 0, dots, 0, 0);
    for (const [place, color, long] of /** @type {const} */ ([[scene.cross, "#ffd84a", true], [scene.cursor, "#ffffff", false]])) {
      if (place) cross(context, left + (place.x + 0.5) * scale, top + (place.y + 0.5) * scale, color, long ? Math.max(width, height) : 9);
    }
    if (scene.letters) this.#letters(context, scene.letters, { left, top, right: left + columns * scale, bottom: top + rows * scale });
  }

  /** @param {CanvasRenderingContext2D} context @param {Scene} scene @param {() => void} onPicture @param {number} scale */
  #draft(context, scene, onPicture, scale) {
    const draft = scene.draft;
    if (!draft || draft.points.length === 0) return;
    onPicture();
    const path = new Path2D();
    const [[y0, x0]] = draft.points;
    const [y1, x1] = draft.points[draft.points.length - 1];
    if (draft.kind === "box") path.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    if (draft.kind === "polygon") {
      draft.points.forEach(([y, x], at) => (at ? path.lineTo(x, y) : path.moveTo(x, y)));
      if (draft.points.length > 2) path.closePath();
    }
    if (draft.kind === "brush") {
      for (const [y, x] of draft.points) {
        path.moveTo(x + draft.radius, y);
        path.arc(x, y, draft.radius, 0, 2 * Math.PI);
      }
      context.fillStyle = "rgb(255 255 255 / 30%)";
      context.fill(path);
      return;
    }
    context.lineWidth = 3 / scale;
    context.strokeStyle = "rgb(0 0 0 / 60%)";
    context.stroke(path);
    context.lineWidth = 1.5 / scale;
    context.strokeStyle = EXPLAINED;
    context.stroke(path);
    for (const [y, x] of draft.kind === "polygon" ? draft.points : []) {
      context.fillStyle = EXPLAINED;
      context.fillRect(x - 2.5 / scale, y - 2.5 / scale, 5 / scale, 5 / scale);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {string[]} letters @param {{left: number, top: number, right: number, bottom: number}} box */
  #letters(context, [west, east, north, south], box) {
    const { width, height } = this.box.getBoundingClientRect();
    const [left, right] = [Math.max(box.left, 0), Math.min(box.right, width)];
    const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, height)];
    context.font = "600 12px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    const write = (/** @type {string} */ letter, /** @type {number} */ x, /** @type {number} */ y) => {
      context.strokeStyle = "rgb(0 0 0 / 80%)";
      context.lineWidth = 3;
      context.strokeText(letter, x, y);
      context.fillStyle = "#fff";
      context.fillText(letter, x, y);
    };
    write(west, left + 10, (top + bottom) / 2);
    write(east, right - 10, (top + bottom) / 2);
    write(north, (left + right) / 2, top + 10);
    write(south, (left + right) / 2, bottom - 10);
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {string} color @param {number} arm */
function cross(context, x, y, color, arm) {
  const gap = 4;
  const lines = new Path2D();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    lines.moveTo(x + dx * gap, y + dy * gap);
    lines.lineTo(x + dx * (gap + arm), y + dy * (gap + arm));
  }
  context.lineWidth = 2.6;
  context.strokeStyle = "rgb(0 0 0 / 45%)";
  context.stroke(lines);
  context.lineWidth = 1;
  context.strokeStyle = color;
  context.stroke(lines);
}
