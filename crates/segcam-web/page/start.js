// @ts-check
// First a network, then the studio's page.

import * as api from "./api.js";

const [title, words, button] = ["#empty h2", "#empty p", "#empty-add"].map((part) => /** @type {HTMLElement} */ (document.querySelector(part)));
const before = [title, words, button].map((part) => part.textContent);
const input = document.createElement("input");
input.type = "file";
input.multiple = true;
input.id = "network-file";
input.setAttribute("aria-label", "Network, and its card");

/** @param {string} text */
function say(text) {
  words.textContent = text;
  words.classList.toggle("error", text !== HINT);
}
const HINT = "An .onnx file, with its net.toml if there is one. Nothing is sent anywhere: it runs in this page.";

/** @param {File[]} files */
async function take(files) {
  const network = files.find((file) => file.name.endsWith(".onnx"));
  if (!network) return say("None of these files is a network: it must be exported as .onnx.");
  title.textContent = `Reading ${network.name}`;
  try {
    await api.choose(network, files.find((file) => file.name.endsWith(".toml")) ?? null);
  } catch (error) {
    title.textContent = "Which network?";
    return say(error instanceof Error ? error.message : String(error));
  }
  for (const file of files) if (!/\.(onnx|toml)$/.test(file.name)) await api.upload(file);
  listening.abort();
  words.classList.remove("error");
  [title, words, button].forEach((part, at) => (part.textContent = before[at]));
  words.textContent = "Choose one on the left, or drop one here: PNG, JPEG or TIFF.";
  input.remove();
  show(false);
  await import("./main.js");
}

/** Only the place for files is shown, or everything. @param {boolean} alone */
function show(alone) {
  for (const part of document.querySelectorAll(".gallery, .side, .bar, .actions")) /** @type {HTMLElement} */ (part).hidden = alone;
  document.body.style.grid = alone ? '"top" 46px "main" minmax(0, 1fr) / minmax(0, 1fr)' : "";
}

const listening = new AbortController();
const { signal } = listening;
show(true);
title.textContent = "Which network?";
button.textContent = "Choose a network";
say(HINT);
/** @type {HTMLElement} */ (document.getElementById("empty")).hidden = false;
input.hidden = true;
document.body.append(input);
button.addEventListener("click", () => input.click(), { signal });
input.addEventListener("change", () => take([...(input.files ?? [])]), { signal });
document.addEventListener("dragover", (event) => event.preventDefault(), { signal });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take([...(event.dataTransfer?.files ?? [])]);
}, { signal });
document.documentElement.dataset.theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
document.body.dataset.start = "yes";
