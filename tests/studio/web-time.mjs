// How long the page's module takes in Node, beside the program with one thread.

import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { nuclei, studio, temporary } from "./common.mjs";

const folder = resolve(process.env.SEGCAM_WEB ?? "target/web/page");
const network = resolve(process.env.SEGCAM_WEB_NETWORK ?? "tests/onnx/tiny-dynamic.onnx");
const image = process.env.SEGCAM_WEB_IMAGE ?? join(nuclei(1).images, "nuclei-1.png");
const TIMES = 9;

const { default: start, Desk } = await import(pathToFileURL(join(folder, "segcam_web.js")));
const bytes = (path) => new Uint8Array(readFileSync(path));
const begun = performance.now();
const { memory } = await start({ module_or_path: readFileSync(join(folder, "segcam_web_bg.wasm")) });
const desk = new Desk("net.onnx", bytes(network), undefined);
console.log(`module and network ready after ${Math.round(performance.now() - begun)} ms`);

/** The steps of the page's module. */
const page = {
  look: async (number) => JSON.parse(desk.look(`i${number}`, basename(image), bytes(image))),
  ask: async (question) => JSON.parse(desk.ask(JSON.stringify(question))),
  certify: async (id) => JSON.parse(desk.certify(id)),
};

const images = join(temporary(), "images");
mkdirSync(images);
for (let number = 0; number < TIMES; number++) copyFileSync(image, join(images, `${number}.png`));
process.env.RAYON_NUM_THREADS = "1";
const server = await studio("--model", network, images);
const post = async (path, body) => {
  const headers = { "Content-Type": "application/json" };
  return (await fetch(`${server.url}api/v1${path}`, { method: "POST", body: JSON.stringify(body), headers })).json();
};

/** The same of the program. */
const program = {
  look: async (number) => (await fetch(`${server.url}api/v1/images/i${number}?view=time`)).json(),
  ask: (question) => post("/questions", { view: "time", ...question }),
  certify: (id) => post(`/questions/${id}/certificates`, { view: "time" }),
};

/** In turns, so that what else runs on the machine slows down both. */
const taken = { page: { look: [], ask: [], certify: [] }, program: { look: [], ask: [], certify: [] } };
for (let number = 0; number < TIMES; number++) {
  for (const [name, steps] of Object.entries({ page, program })) {
    const clock = async (step, given) => {
      const started = performance.now();
      const found = await steps[step](given);
      taken[name][step].push(performance.now() - started);
      return found;
    };
    const look = await clock("look", number);
    const layers = look.layers.filter((layer) => layer.auto).map((layer) => layer.name);
    const most = look.classes.filter((one) => !one.background).sort((a, b) => b.pixels - a.pixels)[0];
    const question = { image: `i${number}`, class: most.class, pixels: "class", layers, methods: ["seg-hires-grad-cam"] };
    await clock("certify", (await clock("ask", question)).id);
  }
}
server.stop();

// What else runs on the machine only adds. The first image is that of which both learn the network's program.
const least = (all) => Math.min(...all.slice(1));
for (const step of ["look", "ask", "certify"]) {
  const [a, b] = [least(taken.page[step]), least(taken.program[step])];
  console.log(`${step}: ${a.toFixed(0)} ms in a page, ${b.toFixed(0)} ms in the program with one thread, ${(a / b).toFixed(1)} times`);
}
console.log(`first look: ${taken.page.look[0].toFixed(0)} and ${taken.program.look[0].toFixed(0)} ms; memory of the page ${(memory.buffer.byteLength / 1e6).toFixed(0)} MB`);
