// The studio as people use it, in a real browser. Screenshots are kept.

import assert from "node:assert/strict";
import { execSync } from "node:child_process";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { reports } from "./reports.mjs";
import { answered, browse, cells, click, nuclei, objects, open, place, run, segcam, shot, studio, temporary } from "./common.mjs";

const { images, truth } = nuclei(3);
const server = await studio(images);
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

/** The numbers of `segcam explain`, by the command that the page gives. */
function explained(command) {
  const out = temporary();
  execSync(`${command.replace(/^segcam/, `'${segcam}'`)} --quiet --out ${out}`);
  return JSON.parse(readFileSync(join(out, "report.json"), "utf8"));
}

function same(answer, report) {
  assert.equal(answer.maps.length, report.maps.length);
  answer.maps.forEach((map, at) => {
    for (const number of ["class", "method", "layer", "pixel_set", "pixels", "score", "status", "raw_min", "raw_max"]) {
      assert.deepEqual(map.report[number], report.maps[at][number], number);
    }
  });
}

const { page, errors } = await open(browser, server.url);
let nucleus;
let first;

await flow("images are there, the first is looked at, its prediction has an outline", async () => {
  assert.equal(await page.locator("#images li").count(), 3);
  assert.match(await page.locator("#legend").innerText(), /nucleus/);
  [nucleus] = await objects(server.url, "i0");
  const violet = await page.evaluate(() => {
    const canvas = document.querySelector(".panel .view canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let count = 0;
    for (let at = 0; at < data.length; at += 4) count += data[at] > 180 && data[at + 1] < 170 && data[at + 2] > 200;
    return count;
  });
  assert.ok(violet > 500, `${violet} pixels are violet`);
  await shot(page, "1-image");
});

await flow("a click on a nucleus shows its map, with the numbers of explain", async () => {
  first = await answered(page, () => click(page, nucleus.at));
  assert.equal(first.pixels, nucleus.pixels);
  assert.equal(await page.locator(".panel").count(), 2);
  const report = explained(first.command);
  same(first, report);
  const said = await page.locator("#answer").innerText();
  const { certificate, score } = report.maps[0];
  assert.ok(said.includes(`${nucleus.pixels} pixels nucleus?`), said);
  const share = (100 * certificate.layer) / score[0];
  assert.ok(said.replaceAll("−", "-").includes(`${share.toFixed(Math.abs(share) < 10 ? 1 : 0)} %`), `${said} does not say ${share} %`);
  // Orange where it speaks for the class.
  const [x, y] = await place(page, nucleus.at, 1);
  const color = await page.evaluate(([x, y]) => {
    const canvas = document.querySelectorAll(".panel .view canvas")[1];
    const box = canvas.getBoundingClientRect();
    const dots = window.devicePixelRatio;
    const { data } = canvas.getContext("2d").getImageData((x - box.left - 8) * dots, (y - box.top - 8) * dots, 16 * dots, 16 * dots);
    let warm = 0;
    for (let at = 0; at < data.length; at += 4) warm += data[at] > data[at + 2] + 40;
    return warm;
  }, [x, y]);
  assert.ok(color > 0, "no orange");
  await shot(page, "2-map");
});

await flow("hovering reads the map's value", async () => {
  await page.mouse.move(...(await place(page, nucleus.at, 1)));
  const said = await page.locator("#readout").innerText();
  assert.match(said, new RegExp(`^${nucleus.at[0]}, ${nucleus.at[1]} · nucleus · .* %\\)$`));
});

await flow("layers and methods", async () => {
  const other = await answered(page, () => page.click('[data-layer="dec1"]'));
  assert.deepEqual(other.maps.map((map) => map.layer), ["dec1"]);
  const both = await answered(page, () => page.click('[data-layer="mid"]', { modifiers: ["Shift"] }));
  assert.deepEqual(both.maps.map((map) => map.layer), ["mid", "dec1"]);
  const four = await answered(page, () => page.getByLabel("Seg-Grad-CAM", { exact: true }).check());
  assert.equal(four.maps.length, 4);
  assert.equal(await page.locator(".panel").count(), 5);
  same(four, explained(four.command));
  await shot(page, "3-layers-and-methods");
  await answered(page, () => page.getByLabel("Seg-Grad-CAM", { exact: true }).uncheck());
  await answered(page, () => page.click('[data-layer="mid"]'));
});

await flow("colours, opacity, contours, outlines", async () => {
  const pixels = () => page.evaluate(() => {
    const canvas = document.querySelectorAll(".panel .view canvas")[1];
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.reduce((sum, value, at) => (sum * 31 + value * (at % 7)) % 1e9, 0);
  });
  const next = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  let before = await pixels();
  const changes = async (act) => {
    await act();
    await next();
    const after = await pixels();
    assert.notEqual(after, before);
    before = after;
  };
  await changes(() => page.locator("#contours").check());
  await changes(() => page.locator("#outlines").uncheck());
  await changes(() => page.locator("#opacity").fill("30"));
  await changes(() => page.locator("#colormap").selectOption("inferno"));
  await page.locator("#scale").selectOption("min-max");
  await shot(page, "4-colours");
  await page.locator("#colormap").selectOption("blue-orange");
  await page.locator("#opacity").fill("90");
  await page.locator("#outlines").check();
  await page.locator("#contours").uncheck();
});

await flow("contrast: why not background?", async () => {
  const answer = await answered(page, () => page.locator("#against").selectOption({ label: "background" }));
  assert.deepEqual(answer.score_of, [[1, 1], [0, -1]]);
  assert.match(await page.locator("#answer").innerText(), /nucleus and not background\?/);
  same(answer, explained(answer.command));
  await page.locator("#against").selectOption("");
  await page.waitForTimeout(200);
});

await flow("a box, a stroke, a polygon, a pixel", async () => {
  const [y, x] = nucleus.at;
  await page.keyboard.press("b");
  const from = await place(page, [y - 6, x - 7]);
  const to = await place(page, [y + 5, x + 8]);
  const box = await answered(page, async () => {
    await page.mouse.move(...from);
    await page.mouse.down();
    await page.mouse.move(...to, { steps: 4 });
    await page.mouse.up();
  });
  assert.equal(box.pixel_set, `box:${y - 6},${x - 7},${y + 6},${x + 9}`);
  await page.keyboard.press("r");
  const stroke = await answered(page, async () => {
    await page.mouse.move(...from);
    await page.mouse.down();
    await page.mouse.move(...to, { steps: 8 });
    await page.mouse.up();
  });
  assert.match(stroke.pixel_set, /^disc:\d+,\d+,\d/);
  await page.keyboard.press("g");
  for (const corner of [[y - 8, x - 8], [y - 8, x + 8], [y + 8, x]]) await click(page, corner);
  await shot(page, "5-polygon");
  const polygon = await answered(page, () => page.keyboard.press("Enter"));
  assert.equal(polygon.pixel_set, `polygon:${y - 8},${x - 8};${y - 8},${x + 8};${y + 8},${x}`);
  await page.keyboard.press("p");
  const pixel = await answered(page, () => click(page, nucleus.at));
  assert.equal(pixel.pixel_set, `pixel:${y},${x}`);
  await page.keyboard.press("o");
});

await flow("the language of pixel sets, with errors at their column", async () => {
  await page.keyboard.press("/");
  await page.keyboard.press("Control+A");
  await page.keyboard.type("class & pixle:1,2");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#set-error")?.textContent !== "");
  assert.equal(await page.locator("#set-error mark").innerText(), "p");
  assert.equal(await page.locator("#set").getAttribute("aria-invalid"), "true");
  await shot(page, "6-set-error");
  const answer = await answered(page, async () => {
    await page.fill("#set", "band(largest, 2)");
    await page.keyboard.press("Enter");
  });
  assert.equal(answer.pixel_set, "band(largest,2)");
  assert.equal(await page.locator("#set-error").innerText(), "");
});

await flow("keyboard alone", async () => {
  // The cross begins in the middle where no pointer is.
  await page.mouse.move(4, 4);
  await page.locator(".panel .view canvas").first().focus();
  const at = await page.evaluate(() => {
    const canvas = document.querySelector(".panel .view canvas");
    canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    return document.querySelector("#readout").textContent;
  });
  assert.match(at, /^129, 128/);
  const [y, x] = nucleus.at;
  for (let step = 129; step !== y; step += Math.sign(y - step)) await page.keyboard.press(y > 129 ? "ArrowDown" : "ArrowUp");
  for (let step = 128; step !== x; step += Math.sign(x - step)) await page.keyboard.press(x > 128 ? "ArrowRight" : "ArrowLeft");
  const answer = await answered(page, () => page.keyboard.press("Enter"));
  assert.equal(answer.pixels, nucleus.pixels);
  await page.keyboard.press("?");
  assert.ok(await page.locator("dialog#keys").isVisible());
  await shot(page, "7-keyboard");
  await page.keyboard.press("Escape");
});

await flow("zoom is linked, and clicks go where they should", async () => {
  await page.locator(".panel .view canvas").first().hover();
  await page.mouse.move(...(await place(page, nucleus.at)));
  for (let i = 0; i < 4; i++) await page.mouse.wheel(0, -120);
  await page.waitForTimeout(100);
  const at = await page.mouse;
  const answer = await answered(page, async () => {
    const [x, y] = await place(page, nucleus.at);
    await at.click(x, y);
  });
  // The wheel zooms around the pointer: the same pixel is under it.
  assert.equal(answer.pixels, nucleus.pixels);
  await shot(page, "8-zoom");
  await page.keyboard.press("0");
});

await flow("figures, arrays and the view are saved", async () => {
  const saved = async (text) => {
    await page.click("#save");
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#save-menu").getByText(text).first().click()]);
    const path = join(temporary(), download.suggestedFilename());
    await download.saveAs(path);
    await page.keyboard.press("Escape");
    return path;
  };
  await page.click("#save");
  await shot(page, "9-save");
  await page.keyboard.press("Escape");
  assert.ok(readFileSync(await saved("PNG")).subarray(1, 4).equals(Buffer.from("PNG")));
  assert.match(readFileSync(await saved("SVG"), "utf8"), /Seg-HiRes-Grad-CAM at mid/);
  assert.ok(readFileSync(await saved("signed .npy")).subarray(1, 6).equals(Buffer.from("NUMPY")));
  const view = await saved("This view");
  const fresh = await open(browser, server.url);
  await fresh.page.locator("#images li").nth(2).click();
  const answer = await answered(fresh.page, () => fresh.page.setInputFiles("#view-file", view));
  assert.equal(answer.pixel_set, `component@${nucleus.at.join(",")}`);
  assert.equal(await fresh.page.locator('#images [aria-selected="true"]').innerText().then((text) => text.replace(/\s/g, "")), "nuclei-1.png");
  const damaged = join(temporary(), "view.json");
  writeFileSync(damaged, '{"segcam_view": 1}');
  await fresh.page.setInputFiles("#view-file", damaged);
  await fresh.page.waitForSelector("#failure:not([hidden])");
  assert.match(await fresh.page.locator("#failure-text").innerText(), /damaged/);
  assert.deepEqual(fresh.errors, []);
  await fresh.context.close();
});

await flow("uploads", async () => {
  const upload = join(temporary(), "mine.png");
  copyFileSync(join(images, "nuclei-2.png"), upload);
  await page.setInputFiles("#files", upload);
  await page.waitForFunction(() => document.querySelector('#images [aria-selected="true"]')?.textContent === "mine.png");
  await page.waitForFunction(() => document.querySelector("#legend li") !== null);
  const [mine] = await objects(server.url, "i3");
  const answer = await answered(page, () => click(page, mine.at));
  assert.equal(answer.pixels, mine.pixels);
  const broken = join(temporary(), "broken.png");
  writeFileSync(broken, "no picture");
  await page.setInputFiles("#files", broken);
  await page.waitForSelector("#failure:not([hidden])");
  assert.match(await page.locator("#failure-text").innerText(), /broken\.png/);
  await shot(page, "10-error");
  await page.click("#failure-close");
  const other = join(temporary(), "notes.txt");
  writeFileSync(other, "text");
  await page.setInputFiles("#files", other);
  await page.waitForSelector("#failure:not([hidden])");
  assert.match(await page.locator("#failure-text").innerText(), /no kind that can be looked at/);
  await page.click("#failure-close");
});

await flow("long work shows progress and can be cancelled", async () => {
  await page.locator("#images li").first().click();
  await page.waitForFunction(() => document.querySelector("#legend li") !== null);
  await page.getByText("More methods").click();
  await page.getByLabel("seg-score-cam").check();
  await page.click('[data-layer="enc1"]');
  await page.click('[data-layer="enc2"]', { modifiers: ["Shift"] });
  await page.click('[data-layer="mid"]', { modifiers: ["Shift"] });
  await click(page, nucleus.at);
  await page.waitForSelector("#busy:not([hidden])", { timeout: 20_000 });
  await shot(page, "11-busy");
  await page.click("#cancel");
  await page.waitForSelector("#busy", { state: "hidden" });
  for (let i = 0; ; i++) {
    const id = await page.evaluate(() => performance.getEntriesByType("resource").map((one) => one.name).filter((name) => name.includes("/views/")).pop());
    const { busy } = await (await fetch(id ?? `${server.url}api/v1/views/none`)).json();
    if (!busy) break;
    assert.ok(i < 200, "it goes on");
    await new Promise((later) => setTimeout(later, 50));
  }
  await page.getByLabel("seg-score-cam").uncheck();
  await page.click('[data-layer="mid"]');
  const answer = await answered(page, () => click(page, nucleus.at));
  assert.equal(answer.pixels, nucleus.pixels);
});

await flow("dark, small, and without anything", async () => {
  await page.keyboard.press("d");
  await shot(page, "12-other-theme");
  const empty = await studio(temporary());
  const dark = await open(browser, empty.url, { colorScheme: "dark" });
  assert.ok(await dark.page.locator("#empty").isVisible());
  await shot(dark.page, "13-empty");
  assert.deepEqual(dark.errors, []);
  await dark.context.close();
  empty.stop();
});

await flow("with annotations: what was missed, and why", async () => {
  const judged = await studio(images, "--truth", truth);
  const { page, errors } = await open(browser, judged.url);
  assert.match(await page.locator("#legend").innerText(), /Dice 0\.\d/);
  const answer = await answered(page, () => page.getByText("Why missed?").click());
  assert.equal(answer.pixel_set, "fn");
  same(answer, explained(answer.command));
  await shot(page, "14-missed");
  assert.deepEqual(errors, []);
  judged.stop();
});

await flow("a scan in three planes", async () => {
  const folder = temporary();
  run("demo", "--volume", "--quiet", "--out", folder);
  const volume = await studio(join(folder, "scan.nii.gz"), "--model", "lesions-meshnet");
  const { page, errors } = await open(browser, volume.url, { colorScheme: "dark" });
  assert.equal(await page.locator(".panel").count(), 3);
  await page.waitForTimeout(300);
  await shot(page, "15-scan");
  const answer = await answered(page, async () => {
    await page.fill("#set", "largest");
    await page.locator("#class").selectOption({ label: "lesion" });
    await page.click("#ask-button");
  });
  same(answer, explained(answer.command));
  const before = await page.locator(".slider output").first().innerText();
  await page.locator(".panel .view canvas").first().hover();
  await page.mouse.wheel(0, 100);
  await page.waitForFunction((before) => document.querySelector(".slider output")?.textContent !== before, before);
  await page.waitForTimeout(500);
  await shot(page, "16-scan-map");
  assert.deepEqual(errors, []);
  volume.stop();
});

await reports({ browser, flow, images, nucleus });

await flow("a set of many parts is looked through", async () => {
  const { page, errors, context } = await open(browser, server.url);
  const answer = await answered(page, async () => {
    await page.fill("#set", "each:60");
    await page.keyboard.press("Enter");
  });
  const all = (await objects(server.url, "i0")).filter((one) => one.pixels >= 60).length;
  assert.deepEqual([answer.parts.length, answer.part], [all, 0]);
  const said = () => page.locator("#parts output").innerText();
  assert.equal(await said(), `1 of ${all}`);
  const next = await answered(page, () => page.click("#part-after"));
  assert.deepEqual([next.part, next.pixel_set], [1, answer.parts[1].pixel_set]);
  same(next, explained(next.command));
  // The list stays as it was sorted.
  await page.locator("#parts").getByRole("button", { name: "Pixels" }).click();
  const smallest = Math.min(...answer.parts.map((part) => part.pixels));
  const least = await answered(page, () => page.locator("#parts tbody tr").first().click());
  assert.equal(least.pixels, smallest);
  assert.equal((await cells(page.locator("#parts table"), 2))[0], String(smallest));
  assert.equal(await page.locator("#parts tr.current").count(), 1);
  await shot(page, "22-parts");
  await page.locator(".panel .view canvas").first().focus();
  const before = await answered(page, () => page.keyboard.press("<"));
  assert.equal(before.part, (least.part - 1 + all) % all);
  const layer = await answered(page, () => page.click('[data-layer="dec1"]'));
  assert.equal(layer.part, before.part);
  await answered(page, () => click(page, nucleus.at));
  assert.ok(await page.locator("#parts").isHidden());
  assert.deepEqual(errors, []);
  await context.close();
});

await flow("nothing went wrong on the page", async () => assert.deepEqual(errors, []));

await flow("a server that went away is said", async () => {
  server.stop();
  await new Promise((done) => server.program.once("exit", done));
  await click(page, nucleus.at);
  await page.waitForSelector("#failure:not([hidden])");
  assert.match(await page.locator("#failure-text").innerText(), /still running/);
});

await browser.close();
if (failed) {
  console.log(`${failed} flows failed`);
  process.exit(1);
}
