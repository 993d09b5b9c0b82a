// @ts-check
// Tables that sort.

import { counted, el } from "./answer.js";
import { short } from "./colors.js";

/** A text, a number, or a mean with its interval. @typedef {string | number | null | [number, [number, number] | null]} Cell */
/** @typedef {{name: string, kind: "text" | "number" | "count" | "share", about?: string | null}} Column */
/** What a row shows if it is chosen, and whether that is shown. @typedef {{cells: Cell[], choose: (() => void) | null, current?: () => boolean}} Line */

/** Rows that are there before all are asked for. */
const SOME = 15;

/** @param {Cell} cell @param {Column} column */
function shownCell(cell, { kind }) {
  const number = (/** @type {number} */ value) => (kind === "share" ? `${(100 * value).toFixed(1)} %`.replace("-", "−") : kind === "count" ? counted(value) : short(value));
  const into = el("td", kind === "text" ? null : "number");
  if (cell === null) into.append("–");
  else if (typeof cell === "number") into.append(number(cell));
  else if (typeof cell === "string") into.append(cell);
  else {
    const [mean, interval] = cell;
    into.append(number(mean));
    if (interval) into.append(el("small", null, ` ${number(interval[0])} … ${number(interval[1])}`));
  }
  return into;
}

/** What a row is sorted by. @param {Cell} cell */
const keyOf = (cell) => (Array.isArray(cell) ? cell[0] : cell);

/**
 * Fills a table, whose columns sort it. Gives what marks its rows anew.
 * @param {HTMLElement} into a table
 * @param {Column[]} columns
 * @param {Line[]} lines
 */
export function fillSortable(into, columns, lines) {
  const rows = [...lines];
  let all = rows.length <= SOME;
  const body = document.createElement("tbody");
  const head = document.createElement("tr");
  const fill = () => {
    body.replaceChildren(...(all ? rows : rows.slice(0, SOME)).map((line) => {
      const row = el("tr", null, ...line.cells.map((cell, at) => shownCell(cell, columns[at])));
      row.classList.toggle("current", line.current?.() ?? false);
      const { choose } = line;
      if (choose) {
        row.className += " choice";
        row.tabIndex = 0;
        row.title = "Show its maps";
        row.addEventListener("click", choose);
        row.addEventListener("keydown", (event) => event.key === "Enter" && choose());
      }
      return row;
    }));
    if (!all) {
      const more = /** @type {HTMLButtonElement} */ (el("button", "quiet", `All ${counted(rows.length)} rows`));
      more.type = "button";
      more.addEventListener("click", () => {
        all = true;
        fill();
      });
      const cell = /** @type {HTMLTableCellElement} */ (el("td", null, more));
      cell.colSpan = columns.length;
      body.append(el("tr", "more", cell));
    }
  };
  columns.forEach(({ name, kind, about }, at) => {
    const cell = el("th", kind === "text" ? null : "number");
    const button = /** @type {HTMLButtonElement} */ (el("button", null, name));
    button.type = "button";
    button.title = about ?? "";
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") === "ascending";
      head.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.sort((a, b) => {
        const [x, y] = [keyOf(a.cells[at]), keyOf(b.cells[at])];
        // What has no value comes last, whichever the way.
        if (x === null || y === null) return Number(x === null) - Number(y === null);
        return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
      });
      fill();
    });
    cell.append(button);
    head.append(cell);
  });
  fill();
  into.replaceChildren(el("thead", null, head), body);
  return fill;
}
