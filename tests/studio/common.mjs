// A studio to test, and a browser that looks at it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Where `npm install` put what this needs. */
const require = createRequire(resolve(process.env.SEGCAM_STUDIO_NODE ?? "target/studio", "package.json"));
export const { chromium } = require("playwright-core");

export const segcam = resolve(process.env.SEGCAM ?? "target/release/segcam");
export const screenshots = process.env.SEGCAM_SCREENSHOTS ?? "target/studio/screenshots";
mkdirSync(screenshots, { recursive: true });

export const temporary = () => mkdtempSync(join(tmpdir(), "segcam-studio-test-"));

/** Runs the program and gives what it printed. */
export const run = (...words) => execFileSync(segcam, words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** A folder of generated images of nuclei, and one of annotations of the same names. */
export function nuclei(count) {
  const folder = temporary();
  const [images, truth] = ["images", "truth"].map((name) => join(folder, name));
  [images, truth].forEach((path) => mkdirSync(path));
  for (let seed = 1; seed <= count; seed++) {
    const out = join(folder, `demo-${seed}`);
    run("demo", "--quiet", "--seed", String(seed), "--out", out);
    copyFileSync(join(out, "input.png"), join(images, `nuclei-${seed}.png`));
    copyFileSync(join(out, "truth.png"), join(truth, `nuclei-${seed}.png`));
  }
  return { folder, images, truth };
}

/** Starts a studio; its address is what it prints. */
export async function studio(...words) {
  const program = spawn(segcam, ["studio", "--no-open", "--port", "0", ...words], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise((found, reject) => {
    program.stdout.once("data", (bytes) => found(String(bytes)));
    program.once("exit", (code) => reject(new Error(`the studio ended with ${code}`)));
  });
  const url = /http:\/\/\S+/.exec(line)?.[0];
  assert.ok(url, line);
  return { url, program, stop: () => program.kill() };
}

/** Whether a bundled browser is to be used: SEGCAM_CHROMIUM names another one. */
export const browse = () =>
  chromium.launch({ executablePath: process.env.SEGCAM_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

/** A page of the studio that has looked at its first image; errors of the page are those of the test. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => {
    // A refused request is no error of the page.
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) errors.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !/^(data|blob):/.test(request.url())) errors.push(`it asked ${request.url()}`);
  });
  await page.goto(url);
  await page.waitForSelector("body[data-ready]", { timeout: 60_000 });
  return { page, errors, context };
}

export const shot = (page, name) => page.screenshot({ path: join(screenshots, `${name}.png`) });

/** Where a pixel of the image is on the screen, in the panel of that number. */
export async function place(page, [y, x], panel = 0) {
  return page.evaluate(async ([y, x, number]) => {
    const canvas = document.querySelectorAll(".panel .view canvas")[number];
    const box = canvas.getBoundingClientRect();
    const id = document.querySelector('#images [aria-selected="true"]')?.dataset.id;
    // Of a report, which has no server, the pictures are those of the nuclei.
    const known = (window.segcamLooks ??= { undefined: { picture: [256, 256], label_size: [1, 1] } });
    known[id] ??= await (await fetch(`/api/v1/images/${id}?view=test`)).json();
    const { picture: [rows, columns], label_size: [high, wide] } = known[id];
    const scale = Math.min(box.width / columns, box.height / rows);
    return [
      box.left + box.width / 2 + ((x + 0.5) * wide - columns / 2) * scale,
      box.top + box.height / 2 + ((y + 0.5) * high - rows / 2) * scale,
    ];
  }, [y, x, panel]);
}

/** Clicks a pixel of the image. */
export async function click(page, pixel, panel = 0) {
  await page.mouse.click(...(await place(page, pixel, panel)));
}

/** Does something that asks, and waits for the answer and its exact numbers. */
export async function answered(page, act) {
  const before = await page.evaluate(() => document.body.dataset.certified ?? "");
  const [response] = await Promise.all([
    page.waitForResponse((one) => one.url().endsWith("/api/v1/questions") && one.status() === 200),
    act(),
  ]);
  await page.waitForFunction((before) => (document.body.dataset.certified ?? "") !== before, before, { timeout: 60_000 });
  return response.json();
}

/** The middle of an object, by the API. */
export async function objects(url, image) {
  const answer = await fetch(`${url}api/v1/images/${image}/labels`);
  const [rows, columns] = answer.headers.get("Segcam-Size").split("x").map(Number);
  const labels = new Uint16Array(await answer.arrayBuffer());
  const found = [];
  const seen = new Uint8Array(labels.length);
  for (let start = 0; start < labels.length; start++) {
    if (labels[start] !== 1 || seen[start]) continue;
    const members = [];
    const waiting = [start];
    seen[start] = 1;
    while (waiting.length) {
      const at = waiting.pop();
      members.push(at);
      const x = at % columns;
      for (const next of [x > 0 ? at - 1 : -1, x < columns - 1 ? at + 1 : -1, at - columns, at + columns]) {
        if (next >= 0 && next < rows * columns && labels[next] === 1 && !seen[next]) {
          seen[next] = 1;
          waiting.push(next);
        }
      }
    }
    const middle = members.sort((a, b) => a - b)[members.length >> 1];
    found.push({ at: [Math.floor(middle / columns), middle % columns], pixels: members.length });
  }
  return found.sort((a, b) => b.pixels - a.pixels);
}

/** The cells of a column of a table, from above. */
export const cells = (table, number) => table.locator(`tbody tr:not(.more) td:nth-child(${number})`).allInnerTexts();
