// Follows the Compose lab's text: clicks each block as soon as the previous one has ended. Uses a
// real engine, gVisor and browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Labd, openBrowser } from "./labd.mjs";
import { endLab, newLearner, runBlock, sees, shot, startButton, stepIs, type } from "./page.mjs";

const slow = 90_000; // building the image under gVisor is slow

let labd, browser;
before(async () => {
  [labd, browser] = await Promise.all([Labd.create(), openBrowser()]);
});
after(async () => {
  await browser?.close();
  await labd?.close();
});

/** Waits until the block's last line was typed and the prompt is back. Returns the text on the screen. */
async function ended(page, block) {
  const last = (await block.locator("code").textContent()).trimEnd().split("\n").at(-1).replaceAll(/\s/g, "");
  const screen = await page.waitForFunction((line) => {
    const rows = [...document.querySelectorAll(".lab-terminal:not([hidden]) .xterm-rows > div")].map((r) => r.textContent.replaceAll("\u00a0", " ").trimEnd());
    return rows.join("").replaceAll(" ", "").includes(line) && rows.findLast((r) => r !== "")?.endsWith("#") && rows.join("\n");
  }, last, { timeout: slow });
  return screen.jsonValue();
}

for (const prefix of ["", "/zh"]) {
  test(`every block of the Compose lab works right after the previous one (${prefix || "/en"})`, async (t) => {
    const page = await newLearner(t, browser);
    await page.goto(`${labd.url}${prefix}/labs/compose-two-services/`);
    await startButton(page, { start: prefix ? "开始实验" : "Start lab" }).click();
    await sees(page, "# ");
    for (const step of ["up", "change", "logs", "exec", "scale", "down"]) {
      const blocks = await page.locator(`[data-step="${step}"] button.lab-run`).count();
      for (let n = 0; n < blocks; n++) {
        await type(page, "clear");
        await runBlock(page, step, n);
        const screen = await ended(page, page.locator(`[data-step="${step}"] .code:has(button.lab-run)`).nth(n));
        assert.doesNotMatch(screen, /curl: \(|rror response|no configuration file/, `${step}, block ${n + 1}`);
      }
      if (step === "logs") {
        await type(page, "clear; curl localhost:8080/ticket/$(docker compose logs web | sed -n 's/.*ticket: //p' | tail -n 1)");
        await sees(page, "The ticket is right.");
      }
      await stepIs(page, step, "done");
    }
    await shot(page, `compose-done${prefix.replace("/", "-")}`);
    await endLab(page, prefix ? { more: "更多", end: "结束实验" } : undefined);
    assert.deepEqual(await labd.remains(), []);
  });
}
