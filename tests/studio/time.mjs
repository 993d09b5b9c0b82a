// How long it takes from a click to the map on the screen, and what the API takes of that.

import { existsSync } from "node:fs";
import { join } from "node:path";

import { answered, browse, click, nuclei, objects, open, studio } from "./common.mjs";

const clicks = Number(process.argv[2] ?? 40);
const data = process.env.SEGCAM_DATA ?? "../shared/data";
const browser = await browse();

/** @param {number[]} times @param {number} part */
const quantile = (times, part) => times.toSorted((a, b) => a - b)[Math.min(Math.floor(times.length * part), times.length - 1)];

async function time(name, ...words) {
  const server = await studio(...words);
  const { page } = await open(browser, server.url);
  const found = await objects(server.url, "i0");
  // Large and small objects, and single pixels where there are few.
  const places = Array.from({ length: clicks }, (_, at) => found[at % found.length].at);
  await answered(page, () => click(page, places[0]));
  await page.evaluate(() => performance.clearMeasures());
  for (const place of places) await answered(page, () => click(page, place));
  const times = await page.evaluate(() => performance.getEntriesByName("segcam-ask").map((entry) => entry.duration));
  console.log(`${name}: ${times.length} clicks, median ${quantile(times, 0.5).toFixed(0)} ms, 95 % within ${quantile(times, 0.95).toFixed(0)} ms`);
  await page.context().close();
  server.stop();
}

const { images } = nuclei(1);
await time("nuclei-unet, 256 × 256", images);
const retina = join(data, "retina_unet");
if (existsSync(retina)) {
  await time("retina-unet, 584 × 565", join(retina, "images/01.png"), "--model", "retina-unet", "--weights", join(retina, "unet_drive.safetensors"));
} else console.log(`retina-unet: skipped, ${retina} is missing`);
await browser.close();
