// @ts-check
// Colours of maps and of classes.

/** @typedef {{name: string, diverging: boolean, colors: Uint8Array}} Table 256 colours of red, green and blue. */
/** How values become colours: what has full colour, and what is left away. @typedef {"signed" | "max-abs" | "max" | "min-max"} Scale */
/** @typedef {{low: number, high: number}} Range */

/** Colours that colour-blind readers tell apart, then others. The first one is that of pictures from the command line. */
const CLASSES = [
  "#e182ff", "#56b4e9", "#f0e442", "#2fd6a3", "#ff8f5a", "#9bb8ff", "#ffb3d1", "#c8e66e", "#d9a066", "#7fe0e6",
  "#f2716b", "#b79cff", "#ffd27a", "#6ccf6a", "#e6a6e0", "#a8c9b4", "#c7b08c", "#8fa3c9", "#e8e0d0", "#a0a0a0",
];
export const EXPLAINED = "#ffffff";
export const ANNOTATED = "#5aff5a";
/** Predicted and annotated; annotated only; predicted only. */
export const HIT = "#009e73";
export const MISSED = "#ffec3c";
export const FALSE_ALARM = "#de3296";

/** The colour of a class: the first one that is not background has the first colour. @param {number} number @param {number | null} background */
export function classColor(number, background) {
  const place = background !== null && background < number ? number - 1 : number;
  return CLASSES[place % CLASSES.length];
}

/** @param {string} base64 */
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** @param {{name: string, diverging: boolean, colors: string}[]} tables @returns {Table[]} */
export const tablesOf = (tables) => tables.map((table) => ({ ...table, colors: bytesOf(table.colors) }));

/**
 * The values of the first and of the last colour.
 * @param {Range} range smallest and largest value of the map
 * @param {Scale} scale
 * @returns {Range}
 */
export function scaled({ low, high }, scale) {
  const strongest = Math.max(high, -low);
  if (scale === "signed") return { low: -strongest, high: strongest };
  if (scale === "max-abs") return { low: 0, high: strongest };
  if (scale === "min-max") return { low: Math.max(low, 0), high };
  return { low: 0, high: Math.max(high, 0) };
}

/**
 * The map as a picture: the weaker, the more it lets through.
 * @param {Float32Array} values
 * @param {number} columns
 * @param {Range} ends
 * @param {Table} table
 * @param {number} solidFrom from this strength on it covers most
 * @returns {ImageData}
 */
export function painted(values, columns, { low, high }, table, solidFrom) {
  const image = new ImageData(columns, values.length / columns);
  const { colors, diverging } = table;
  const span = high - low || 1;
  for (let i = 0, at = 0; i < values.length; i++, at += 4) {
    const part = Math.min(Math.max((values[i] - low) / span, 0), 1);
    const strength = diverging ? Math.abs(2 * part - 1) : part;
    const color = 3 * Math.round(part * 255);
    image.data[at] = colors[color];
    image.data[at + 1] = colors[color + 1];
    image.data[at + 2] = colors[color + 2];
    image.data[at + 3] = 255 * Math.min(strength / solidFrom, 1);
  }
  return image;
}

/** The colours side by side. @param {HTMLCanvasElement} canvas @param {Table} table */
export function bar(canvas, table) {
  canvas.width = 256;
  canvas.height = 1;
  const context = canvas.getContext("2d");
  const image = new ImageData(256, 1);
  for (let i = 0; i < 256; i++) {
    image.data.set(table.colors.subarray(3 * i, 3 * i + 3), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  context?.putImageData(image, 0, 0);
}

/** The picture in dim grey, on which colours of maps stand out. @param {ImageBitmap | HTMLImageElement} picture @param {number} brightness */
export function dimmed(picture, brightness) {
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) return canvas;
  context.drawImage(picture, 0, 0);
  const image = context.getImageData(0, 0, canvas.width, canvas.height);
  const { data } = image;
  for (let at = 0; at < data.length; at += 4) {
    const grey = brightness * (0.2126 * data[at] + 0.7152 * data[at + 1] + 0.0722 * data[at + 2]);
    data[at] = data[at + 1] = data[at + 2] = grey;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A number as short as it can be read. @param {number} value */
export function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replace("e+", "e").replace("-", "−");
}
