// @ts-check
// A set that stands for several: which one is shown, and all of them in numbers.

import { counted, el } from "./answer.js";
import { state } from "./state.js";
import { fillSortable } from "./tables.js";

/** The list is made once for all parts, so that it stays as it was sorted. @type {{parts: object, fill: () => void} | null} */
let listed = null;

/** @param {HTMLElement} into @param {(part: number) => void} show */
export function drawParts(into, show) {
  const { answer } = state;
  into.hidden = !answer || answer.part === null;
  if (!answer || answer.part === null) {
    listed = null;
    return;
  }
  const { part, parts } = answer;
  const words = into.querySelector("output");
  if (words) words.textContent = `${part + 1} of ${counted(parts.length)}`;
  // What the server keeps of a set is the same for each of its parts.
  const key = JSON.stringify(parts);
  if (into.dataset.parts === key && listed) return listed.fill();
  into.dataset.parts = key;
  const names = [["Part", "text"], ["Pixels", "count"], ["Score", "number"]];
  const columns = names.map(([name, kind]) => ({ name, kind: /** @type {"text"} */ (kind) }));
  const lines = parts.map(({ pixel_set, pixels, score }, at) => ({
    cells: [pixel_set, pixels, score],
    choose: pixels > 0 ? () => show(at) : null,
    current: () => state.answer?.part === at,
  }));
  const table = el("table", null);
  listed = { parts, fill: fillSortable(table, columns, lines) };
  into.querySelector(".wide")?.replaceChildren(table);
}

/** The part that is so many further, round and round. @param {number} by */
export function partBeside(by) {
  const { answer } = state;
  if (!answer || answer.part === null) return null;
  const count = answer.parts.length;
  for (let step = 1; step <= count; step++) {
    const at = (((answer.part + by * step) % count) + count) % count;
    if (answer.parts[at].pixels > 0) return at;
  }
  return null;
}
