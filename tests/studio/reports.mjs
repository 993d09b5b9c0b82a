// Reports as those open them to whom they were sent: without the program and without a network.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { cells, nuclei, place, run, screenshots, shot, temporary } from "./common.mjs";

/** A report, opened where there is no network; its errors are those of the test. */
async function opened(browser, path) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, offline: true });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("request", (request) => !/^(file|data|blob):/.test(request.url()) && errors.push(`it asked ${request.url()}`));
  await page.goto(`file://${path}`);
  await page.waitForSelector("body[data-ready]");
  const whole = (name) => page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
  return { page, errors, context, whole };
}

/** All pixels of a panel in one number. */
const painted = (page, panel = 1) => page.evaluate(async (number) => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const canvas = document.querySelectorAll(".panel .view canvas")[number];
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((sum, value, at) => (sum * 31 + value * (at % 7)) % 1e9, 0);
}, panel);

/** Sorts a table by a column, both ways, and checks it. */
async function sorts(section, name) {
  const table = section.locator("table");
  const heads = await table.locator("th button").allInnerTexts();
  const at = heads.indexOf(name) + 1;
  assert.ok(at > 0, `${name} is none of ${heads}`);
  const values = async () => (await cells(table, at)).filter((text) => text !== "–").map((text) => parseFloat(text.replace("−", "-").replaceAll("\u202f", "")));
  const all = section.getByRole("button", { name: /^All .* rows$/ });
  if (await all.count()) await all.click();
  for (const way of [1, -1]) {
    await table.getByRole("button", { name, exact: true }).click();
    const found = await values();
    assert.ok(found.length > 1 && found.every((value, at) => at === 0 || way * (value - found[at - 1]) >= 0), `${name}: ${found}`);
  }
}

/** What is done with reports; `nucleus` is one of the first image. */
export async function reports({ browser, flow, images, nucleus }) {
  const { images: many } = nuclei(14);

  await flow("a report is one file that opens by itself", async () => {
    const out = temporary();
    const at = nucleus.at.join(",");
    run("explain", "--input", join(images, "nuclei-1.png"), "--pixels", `component@${at}`, "class", "--certify", "--html", "--quiet", "--out", out);
    const { maps } = JSON.parse(readFileSync(join(out, "report.json"), "utf8"));
    const { page, errors, context, whole } = await opened(browser, join(out, "report.html"));
    assert.equal(await page.locator(".panel").count(), 5);
    assert.equal(await page.locator("#maps tbody tr").count(), maps.length);
    await whole("17-report");
    await page.getByRole("button", { name: "Largest" }).click();
    await page.getByRole("button", { name: "Largest" }).click();
    const largest = maps.toSorted((a, b) => b.raw_max[0] - a.raw_max[0])[0];
    const row = await page.locator("#maps tbody tr").first().innerText();
    assert.ok(row.includes(largest.layer) && row.includes(largest.pixel_set), row);
    await page.locator("#maps tbody tr").first().click();
    await page.waitForFunction(() => document.querySelectorAll(".panel").length === 2);
    // The strongest place has the value that the numbers say, but for the steps it is kept in.
    await page.locator("#figure").selectOption("0");
    await page.waitForTimeout(300);
    const [x, y] = await place(page, nucleus.at, 1);
    await page.mouse.move(x, y);
    assert.match(await page.locator("#readout").innerText(), new RegExp(`^${at.replace(",", ", ")} · nucleus · .* %\\)$`));
    await page.mouse.move(4, 4);
    const before = await painted(page);
    await page.locator("#opacity").fill("0");
    assert.notEqual(await painted(page), before);
    await page.locator("#contours").check();
    assert.deepEqual(errors, []);
    await context.close();
  });

  await flow("a batch is one file that opens by itself", async () => {
    const out = temporary();
    run("batch", "--input", many, "--pixels", "class", "largest", "--certify", "--metric", "leak", "--html", "--quiet", "--out", out);
    const { page, errors, context, whole } = await opened(browser, join(out, "report.html"));
    assert.match(await page.locator("#overview").innerText(), /14 inputs, 112 maps .*12 of 14 inputs/s);
    assert.equal(await page.locator("#case option").count(), 12);
    await whole("18-batch");
    await sorts(page.locator("section", { has: page.locator("h2", { hasText: "Means over inputs" }) }), "leak");
    const all = page.locator("section", { has: page.locator("h2", { hasText: "All maps" }) });
    await sorts(all, "score");
    // A row of an input that is shown leads to it.
    const choice = all.locator("tr.choice").first();
    const [name, , set] = (await choice.locator("td").allInnerTexts());
    await choice.click();
    await page.waitForFunction((name) => document.querySelector("#asked")?.textContent.endsWith(name), name);
    assert.ok((await page.locator("#asked").innerText()).includes(set));
    await page.locator("#look").scrollIntoViewIfNeeded();
    const before = await painted(page);
    await page.locator("#opacity").fill("10");
    const faint = await painted(page);
    assert.notEqual(faint, before);
    await page.locator("#colormap").selectOption("viridis");
    assert.notEqual(await painted(page), faint);
    const panels = await page.locator(".panel").count();
    await page.locator("#layer-boxes input").first().uncheck();
    await page.waitForFunction((count) => document.querySelectorAll(".panel").length < count, panels);
    await page.locator("#case").selectOption("3");
    await page.waitForTimeout(300);
    await shot(page, "19-batch-maps");
    assert.deepEqual(errors, []);
    await context.close();
  });

  await flow("an evaluation is one file that opens by itself", async () => {
    const out = temporary();
    const six = join(out, "six.txt");
    writeFileSync(six, readdirSync(many).slice(0, 6).map((name) => join(many, name)).join("\n"));
    run("evaluate", "--input", six, "--metric", "leak", "road", "fidelity-r2", "--cells", "16", "--html", "--quiet", "--out", out);
    const { page, errors, context, whole } = await opened(browser, join(out, "report.html"));
    await page.waitForFunction(() => [...document.querySelectorAll(".chart img")].every((image) => image.complete && image.naturalWidth > 300));
    await whole("20-evaluation");
    await sorts(page.locator("section", { has: page.locator("h2", { hasText: "Means" }) }).first(), "road");
    assert.match(await page.locator("#why").innerText(), /(worst|best) /);
    const before = await painted(page);
    await page.locator("#opacity").fill("20");
    assert.notEqual(await painted(page), before);
    await page.locator("#theme").click();
    await shot(page, "21-evaluation-other-theme");
    assert.deepEqual(errors, []);
    await context.close();
  });
}
