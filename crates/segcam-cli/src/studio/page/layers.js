// @ts-check
// The network as a row of bars, one for each layer in forward order, as high as its maps are fine.

/** @typedef {import("./api.js").Layer} Layer */

/** A layer's rows and columns, and slices of a volume. @param {Layer} layer */
const sides = (layer) => layer.shape.slice(2);

/**
 * @param {HTMLElement} into
 * @param {Layer[]} layers
 * @param {string[]} chosen
 * @param {(name: string, add: boolean) => void} choose
 */
export function drawLayers(into, layers, chosen, choose) {
  const bars = document.createElement("div");
  bars.className = "bars";
  bars.setAttribute("role", "group");
  bars.setAttribute("aria-label", "Layers in forward order, as high as their maps are fine");
  const line = document.createElement("div");
  line.className = "layer-line";
  const name = document.createElement("b");
  const shape = document.createElement("span");
  line.append(name, shape);
  /** @param {Layer | undefined} layer */
  const say = (layer) => {
    name.textContent = layer?.name ?? "";
    shape.textContent = layer ? `${layer.shape[1]} channels, ${sides(layer).join(" × ")}` : "";
  };
  const finest = Math.max(...layers.map((layer) => Math.max(...sides(layer))), 1);
  const shown = () => layers.find((layer) => layer.name === chosen[chosen.length - 1]);
  for (const layer of layers) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = `${layer.name}: ${layer.shape.join(" × ")}${layer.operator ? `, ${layer.operator}` : ""}`;
    button.setAttribute("aria-label", `${layer.name}, ${sides(layer).join(" by ")}`);
    button.setAttribute("aria-pressed", String(chosen.includes(layer.name)));
    button.classList.toggle("auto", layer.auto);
    button.dataset.layer = layer.name;
    const height = document.createElement("span");
    // Each halving takes off the same.
    const halvings = Math.log2(finest / Math.max(...sides(layer), 1));
    height.style.height = `${Math.max(100 - 15 * halvings, 10)}%`;
    button.append(height);
    button.addEventListener("click", (event) => choose(layer.name, event.shiftKey || event.ctrlKey || event.metaKey));
    button.addEventListener("pointerenter", () => say(layer));
    button.addEventListener("focus", () => say(layer));
    bars.append(button);
  }
  bars.addEventListener("pointerleave", () => say(shown()));
  say(shown());
  const focused = document.activeElement instanceof HTMLElement && into.contains(document.activeElement) ? document.activeElement.dataset.layer : undefined;
  const scrolled = into.querySelector(".bars")?.scrollLeft ?? 0;
  into.replaceChildren(bars, line);
  bars.scrollLeft = scrolled;
  if (focused) /** @type {HTMLElement | null} */ (bars.querySelector(`[data-layer="${CSS.escape(focused)}"]`))?.focus();
}
