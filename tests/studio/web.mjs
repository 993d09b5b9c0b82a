// The page without a server in a real browser, beside the studio: the same network and image, the same question.

import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, resolve } from "node:path";

import { browse, nuclei, screenshots, studio, temporary } from "./common.mjs";

const folder = resolve(process.env.SEGCAM_WEB ?? "target/web/page");
/** Another network and image than the test's own, to look at. */
const given = { network: process.env.SEGCAM_WEB_NETWORK, image: process.env.SEGCAM_WEB_IMAGE };
const [network, card] = given.network ? [given.network, given.network.replace(/onnx$/, "toml")] : tiny();
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".wasm": "application/wasm" };

/** A small network with a card that says what is not the default. */
function tiny() {
  const folder = temporary();
  const [network, card] = [join(folder, "net.onnx"), join(folder, "net.toml")];
  copyFileSync("tests/onnx/tiny-dynamic.onnx", network);
  writeFileSync(card, 'classes = ["nothing", "one", "two", "three", "four"]\n[input]\nmean = [0.3]\nstd = [0.5]\n');
  return [network, card];
}

/** Serves files as they lie, which is all that the page needs. */
const files = createServer((request, response) => {
  const name = request.url === "/" ? "/index.html" : request.url;
  try {
    const bytes = readFileSync(join(folder, name));
    response.writeHead(200, { "Content-Type": KINDS[extname(name)] ?? "text/plain" }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => files.listen(0, "127.0.0.1", ready));
const url = `http://127.0.0.1:${files.address().port}/`;

const { images } = nuclei(1);
const image = given.image ?? join(images, "nuclei-1.png");
const browser = await browse();
let failed = 0;

async function flow(name, act) {
  const started = performance.now();
  try {
    await act();
    console.log(`ok    ${name} (${Math.round(performance.now() - started)} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL  ${name}\n${error.stack}`);
  }
}

/** A page that waits for a network; whatever it asks of others is an error. */
async function open() {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) errors.push(`it asked ${request.url()}`);
    if (request.method() !== "GET") errors.push(`it sent something to ${request.url()}`);
  });
  await page.goto(url);
  await page.waitForSelector("body[data-start]");
  return { page, errors };
}

const shot = (page, name) => page.screenshot({ path: join(screenshots, `${name}.png`) });
/** What the page's modules know. */
const known = (page) => page.evaluate(async () => {
  const { state } = await import("./state.js");
  const maps = state.sheets[0]?.maps.map((map) => map && { ...map.raster, values: [...map.raster.values] });
  const labels = state.sheets[0]?.labels;
  return { look: state.look, answer: state.answer, certified: state.certified, maps, labels: labels && [...labels.values] };
});

/** Does something that asks, and waits for the answer and its exact numbers. */
async function answered(page, act) {
  const before = await page.evaluate(() => document.body.dataset.certified ?? "");
  await act();
  await page.waitForFunction((before) => (document.body.dataset.certified ?? "") !== before, before, { timeout: 120_000 });
  return known(page);
}

/** The same question, answered by the program. */
async function program(question) {
  const server = await studio("--model", network, image);
  try {
    const api = `${server.url}api/v1`;
    const look = await (await fetch(`${api}/images/i0?view=test`)).json();
    const labels = new Uint16Array(await (await fetch(`${api}/images/i0/labels`)).arrayBuffer());
    const post = (path, body) =>
      fetch(`${api}${path}`, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
    const response = await post("/questions", { view: "test", image: "i0", ...question });
    assert.equal(response.status, 200, await response.clone().text());
    const answer = await response.json();
    const maps = [];
    for (const at of answer.maps.keys()) {
      maps.push(new Float32Array(await (await fetch(`${api}/questions/${answer.id}/maps/${at}`)).arrayBuffer()));
    }
    const certified = (await (await post(`/questions/${answer.id}/certificates`, {})).json()).maps;
    return { look, labels: [...labels], answer, maps, certified };
  } finally {
    server.stop();
  }
}

/** The largest difference of two lists beside the largest value. */
function apart(a, b) {
  assert.equal(a.length, b.length);
  let [most, largest] = [0, 0];
  for (const [at, value] of a.entries()) {
    most = Math.max(most, Math.abs(value - b[at]));
    largest = Math.max(largest, Math.abs(b[at]));
  }
  return most / largest;
}

const { page, errors } = await open();

await flow("what is no network is refused in words", async () => {
  const path = join(temporary(), "broken.onnx");
  writeFileSync(path, "no network");
  await page.setInputFiles("#network-file", path);
  await page.waitForFunction(() => document.querySelector("#empty p")?.classList.contains("error"));
  assert.match(await page.locator("#empty p").innerText(), /ONNX/);
  await shot(page, "web-0-start");
});

await flow("a network and an image are looked at", async () => {
  await page.setInputFiles("#network-file", [network, card, image]);
  await page.waitForSelector("body[data-ready]", { timeout: 120_000 });
  assert.equal(await page.locator("#failure").isHidden(), true, await page.locator("#failure-text").innerText());
  assert.equal(await page.locator(".panel").count(), 1);
  await shot(page, "web-1-image");
});

/** Of each class a pixel in the middle of what is predicted as it, most pixels first. */
function middle({ look, labels }, number) {
  const members = labels.flatMap((label, at) => (label === number ? [at] : []));
  const at = members[members.length >> 1];
  return [Math.floor(at / look.labels[1]), at % look.labels[1]];
}

let asked;
await flow("a click on an object shows its map, which is the program's", async () => {
  const seen = await known(page);
  const most = seen.look.classes.filter((one) => !one.background).sort((a, b) => b.pixels - a.pixels)[0];
  assert.ok(most.pixels > 0, "nothing is predicted");
  const [y, x] = middle(seen, seen.look.classes.length === 1 ? 1 : most.class);
  const box = await page.locator(".panel .view canvas").boundingBox();
  const [rows, columns] = seen.look.picture;
  const scale = Math.min(box.width / columns, box.height / rows);
  const [high, wide] = seen.look.label_size;
  asked = await answered(page, () =>
    page.mouse.click(box.x + box.width / 2 + ((x + 0.5) * wide - columns / 2) * scale, box.y + box.height / 2 + ((y + 0.5) * high - rows / 2) * scale));
  assert.equal(await page.locator(".panel").count(), 2);
  await shot(page, "web-2-map");
  await same(asked);
});

/** Whether the page found what the program finds. */
async function same(found) {
  const { answer } = found;
  const of = (what) => [...new Set(answer.maps.map((map) => map[what]))];
  const question = { class: answer.class, pixels: answer.pixel_set, layers: of("layer"), methods: of("method") };
  const right = await program(question);
  assert.deepEqual(found.labels, right.labels);
  assert.deepEqual(found.look.layers, right.look.layers);
  for (const key of ["picture", "labels", "maps", "label_size", "map_size", "input_shape", "classes", "engine"]) {
    assert.deepEqual(found.look[key], right.look[key], key);
  }
  assert.equal(answer.pixels, right.answer.pixels);
  answer.maps.forEach((map, at) => {
    const difference = apart(found.maps[at].values, right.maps[at]);
    console.log(`      ${map.method}, ${map.layer}: ${difference.toExponential(1)} of the map's largest value`);
    assert.ok(difference < 1e-4, `${map.method} at ${map.layer} differs by ${difference}`);
    assert.ok(apart(map.report.score, right.answer.maps[at].report.score) < 1e-5);
    assert.deepEqual(map.report.status, right.answer.maps[at].report.status);
    const [a, b] = [found.certified[at], right.certified[at]];
    assert.ok(Math.abs(a.share - b.share) < 1e-4, `${a.share} and ${b.share} come through the layer`);
    assert.ok(Math.abs(a.certificate.impossible - b.certificate.impossible) < 1e-3);
  });
}

await flow("other layers and methods", async () => {
  const layers = asked.look.layers.filter((layer) => layer.auto).map((layer) => layer.name);
  for (const [at, layer] of layers.entries()) {
    const button = page.locator(`[data-layer="${layer}"]`);
    if ((await button.getAttribute("aria-pressed")) === "true" && at > 0) continue;
    await answered(page, () => button.click(at > 0 ? { modifiers: ["Shift"] } : {}));
  }
  const all = await answered(page, () => page.getByLabel("Seg-Grad-CAM", { exact: true }).check());
  assert.equal(all.answer.maps.length, 2 * layers.length);
  await shot(page, "web-3-layers-and-methods");
  await same(all);
});

await flow("an error in a pixel set is marked where it is", async () => {
  await page.fill("#set", "class & nonsense");
  await page.click("#ask-button");
  await page.waitForFunction(() => document.querySelector("#set-error mark"));
  assert.equal(await page.locator("#set-error mark").innerText(), "n");
});

await flow("what cannot run ends the worker, and the next question has a new one", async () => {
  const answer = await page.evaluate(async () => {
    const api = await import("./api.js");
    const { state } = await import("./state.js");
    const asking = api.ask({ view: "", image: state.image, class: state.class, pixels: "class", layers: state.layers, methods: ["seg-score-cam"] }, new AbortController().signal);
    setTimeout(() => api.cancel(""), 50);
    const refused = await asking.catch((error) => error.cancelled);
    const again = await api.ask({ view: "", image: state.image, class: state.class, pixels: "class", layers: state.layers, methods: state.methods }, new AbortController().signal);
    return { refused, again };
  });
  assert.equal(answer.refused, true);
  assert.ok(answer.again.maps.every((map) => map.report));
});

assert.deepEqual(errors, []);
await browser.close();
files.close();
if (failed > 0) process.exit(1);
