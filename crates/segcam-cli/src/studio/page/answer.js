// @ts-check
// The right side: what was asked, the answer in numbers, and what the network predicts.

import { FALSE_ALARM, HIT, MISSED, classColor, short } from "./colors.js";
import { background, className, state } from "./state.js";

/** @param {string} tag @param {string | null} name @param {...(Node | string)} children */
export function el(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

/** Methods as figures write them. @param {string} name */
export const methodTitle = (name) => state.about?.titles?.[name] ?? name;

/** @param {number} part */
const percent = (part) => `${(100 * part).toFixed(Math.abs(part) < 0.1 && part !== 0 ? 1 : 0).replace("-", "−")} %`;
/** What comes through a layer: beside a score that is nearly nothing, percents say nothing. @param {import("./api.js").Certified} exact @param {number} score */
const shareOf = ({ share, certificate }, score) =>
  share !== null && Math.abs(share) <= 3 ? percent(share) : `${short(certificate?.layer ?? 0)} of ${short(score)}`;
/** @param {number} count */
export const counted = (count) => count.toLocaleString("en").replaceAll(",", " ");

/** @param {HTMLElement} list @param {string} what @param {string} value @param {string} [help] */
function row(list, what, value, help) {
  const term = el("dt", null, what);
  if (help) term.title = help;
  list.append(term, el("dd", null, value));
}

/** @type {Record<string, string>} */
const STATUS = {
  "all-negative": "Nothing speaks for the class here.",
  "all-zero": "All zero: this layer has no influence on the score.",
  rounding: "Rounding only: the terms cancel, and the map says nothing.",
};

/** Why there is nothing to see in a map, if that is so. @param {import("./api.js").MapReport} report */
export const statusOf = (report) => STATUS[report.status[0]] ?? "";

/** The question in words. @param {import("./api.js").Answer} answer */
export function questionOf(answer) {
  const unit = state.about?.sides === 3 ? "voxel" : "pixel";
  const many = answer.pixels === 1 ? `Why is this ${unit}` : `Why are these ${counted(answer.pixels)} ${unit}s`;
  const others = answer.score_of.slice(1).map(([other]) => className(other));
  return `${many} ${className(answer.class)}${others.length ? ` and not ${others.join(", ")}` : ""}?`;
}

/** @param {HTMLElement} into */
export function drawAnswer(into) {
  const { answer, certified } = state;
  if (!answer) {
    const words = state.look
      ? "Click an object to ask why the network labels it so. The map appears beside it."
      : "Choose an image first.";
    into.replaceChildren(el("p", "hint", words));
    return;
  }
  const numbers = el("dl", null);
  const score = answer.maps.find((map) => map.report)?.report?.score[0];
  row(numbers, "Score", score === undefined ? "–" : score.toLocaleString("en", { maximumSignificantDigits: 6 }).replaceAll(",", " "),
    "The class's logits, summed over the pixels: what the maps explain");
  row(numbers, "Set", "");
  const set = el("code", null, answer.pixel_set);
  numbers.lastElementChild?.append(set);
  into.replaceChildren(el("p", "question", questionOf(answer)), numbers);
  answer.maps.forEach((map, at) => {
    const part = el("div", "map", el("h3", null, methodTitle(map.method), el("span", null, map.layer)));
    if (map.error || !map.report) {
      part.append(el("p", "error", map.error ?? ""));
      into.append(part);
      return;
    }
    const { report } = map;
    const list = el("dl", null);
    const exact = certified?.[at];
    const wait = state.certifying ? "…" : "–";
    row(list, "Score through the layer", exact?.share == null ? wait : shareOf(exact, score ?? 0),
      "The part of the score that comes through the layer; the rest goes past it through skips, or comes from biases");
    const impossible = exact?.certificate?.impossible;
    row(list, "Influence impossible", impossible == null ? wait : percent(impossible),
      "The part of the map that lies where no change could reach the explained pixels");
    row(list, "Range", `${short(report.raw_min[0])} … ${short(report.raw_max[0])}`, "Strongest against and for the class, in the score's unit");
    part.append(list);
    const status = statusOf(report);
    if (status) part.append(el("p", "warn", status));
    if (exact?.error) part.append(el("p", "error", exact.error));
    into.append(part);
  });
}

/** @param {HTMLElement} into @param {(set: string, number: number) => void} ask */
export function drawLegend(into, ask) {
  const look = state.look;
  if (!look) {
    into.replaceChildren();
    return;
  }
  const all = look.classes.reduce((sum, one) => sum + one.pixels, 0) || 1;
  const list = el("ul", "legend");
  const shown = look.classes.filter((one) => !one.background && (one.pixels > 0 || (one.judged?.false_negatives ?? 0) > 0));
  for (const one of shown.sort((a, b) => b.pixels - a.pixels)) {
    const swatch = document.createElement("i");
    swatch.style.background = classColor(one.class, background());
    const total = look.classes.length === 1 ? look.labels[0] * look.labels[1] : all;
    const item = el("li", null, swatch, el("span", null, one.name ?? `class ${one.class}`), el("span", null, `${counted(one.pixels)} · ${percent(one.pixels / total)}`));
    if (one.judged) {
      const { dice, false_negatives: missed, false_positives: alarms } = one.judged;
      item.append(el("small", null, `Dice ${dice === null ? "–" : dice.toFixed(3)}, ${counted(missed)} missed, ${counted(alarms)} false alarms`));
    }
    list.append(item);
  }
  into.replaceChildren(list);
  if (shown.length === 0) into.append(el("p", "hint", "Nothing but background is predicted."));
  if (look.truth && state.class !== null) {
    const number = state.class;
    const key = el("p", "key");
    for (const [color, words] of [[HIT, "right"], [MISSED, "missed"], [FALSE_ALARM, "false alarm"]]) {
      const swatch = document.createElement("i");
      swatch.style.background = color;
      key.append(swatch, words);
    }
    into.append(key);
    const chain = el("div", "chain");
    for (const [set, words] of [["fn", "Why missed?"], ["fp", "Why false alarms?"], ["tp", "Why hits?"]]) {
      const button = /** @type {HTMLButtonElement} */ (el("button", null, words));
      button.type = "button";
      button.addEventListener("click", () => ask(set, number));
      chain.append(button);
    }
    into.append(chain);
  }
  const notes = [...look.notes, ...(look.fallback ? [`engine: ${look.engine}`] : [])];
  for (const note of notes) into.append(el("p", "notes", note));
}
