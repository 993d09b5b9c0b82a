// Many who ask at random: no error, right answers, and no more memory at the end than after a while.

import assert from "node:assert/strict";
import { execSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { nuclei, objects, segcam, studio, temporary } from "./common.mjs";

const seconds = Number(process.argv[2] ?? 120);
const CLIENTS = 20;
const { images } = nuclei(4);
const server = await studio(images);
const api = `${server.url}api/v1`;
const json = async (response) => {
  assert.ok(response.ok, `${response.status} ${await response.clone().text()}`);
  return response.json();
};
const { images: list } = await json(await fetch(`${api}/images`));
const things = [];
for (const { id } of list) {
  await json(await fetch(`${api}/images/${id}`));
  for (const { at } of (await objects(server.url, id)).slice(0, 6)) things.push({ image: id, pixels: `component@${at.join(",")}` });
  things.push({ image: id, pixels: "class" }, { image: id, pixels: "random:50,1" });
}
const layers = ["mid", "dec1", "enc2", "dec3"];
const methods = ["seg-hires-grad-cam", "seg-grad-cam", "seg-layer-cam"];
const pick = (list) => list[Math.floor(Math.random() * list.length)];
const numbers = ({ maps, pixels }) => JSON.stringify([pixels, maps.map(({ report }) => [report.score, report.raw_min, report.raw_max, report.status])]);

/** Answers that were given first, by question. @type {Map<string, {numbers: string, command: string}>} */
const known = new Map();
const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.program.pid}/status`, "utf8"))?.[1]) / 1024;
const until = performance.now() + 1000 * seconds;
let asked = 0;
const times = [];

async function client(number) {
  while (performance.now() < until) {
    const question = { ...pick(things), class: 1, layers: [pick(layers)], methods: [pick(methods)], view: `client-${number}` };
    const started = performance.now();
    const answer = await json(await fetch(`${api}/questions`, { method: "POST", body: JSON.stringify(question) }));
    times.push(performance.now() - started);
    const map = await fetch(`${api}/questions/${answer.id}/maps/0`);
    assert.equal(map.status, 200);
    assert.equal((await map.arrayBuffer()).byteLength, 4 * 256 * 256);
    if (Math.random() < 0.1) await json(await fetch(`${api}/questions/${answer.id}/certificates`, { method: "POST", body: "{}" }).then((response) => (response.status === 410 ? new Response("{}") : response)));
    const name = JSON.stringify({ ...question, view: "" });
    const before = known.get(name);
    if (before) assert.equal(numbers(answer), before.numbers, name);
    else known.set(name, { numbers: numbers(answer), command: answer.command });
    asked += 1;
  }
}

const samples = [];
const watch = setInterval(() => samples.push(memory()), 1000);
await Promise.all(Array.from({ length: CLIENTS }, (_, number) => client(number)));
clearInterval(watch);
// Answers of the library, by another process.
const sample = [...known.values()].filter((_, at) => at % Math.ceil(known.size / 12) === 0);
for (const { numbers: given, command } of sample) {
  const out = temporary();
  execSync(`${command.replace(/^segcam/, `'${segcam}'`)} --quiet --out ${out}`);
  const { maps } = JSON.parse(readFileSync(join(out, "report.json"), "utf8"));
  const wanted = JSON.stringify([maps[0].pixels[0], maps.map(({ score, raw_min, raw_max, status }) => [score, raw_min, raw_max, status])]);
  assert.equal(given, wanted, command);
}
const half = samples.slice(samples.length >> 1);
const [early, late] = [Math.max(...half.slice(0, half.length >> 1)), Math.max(...half.slice(half.length >> 1))];
const sorted = times.toSorted((a, b) => a - b);
console.log(`${CLIENTS} clients, ${seconds} s: ${asked} questions (${known.size} different), none failed; median ${sorted[sorted.length >> 1].toFixed(0)} ms, ` +
  `95 % within ${sorted[Math.floor(0.95 * sorted.length)].toFixed(0)} ms; ${sample.length} answers are those of segcam explain; ` +
  `memory: at most ${early.toFixed(0)} MB in the third quarter, ${late.toFixed(0)} MB in the last`);
assert.ok(late < 1.1 * early + 20, `memory grew from ${early} to ${late} MB`);
server.stop();
