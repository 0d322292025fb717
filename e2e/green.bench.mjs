// Measures the time from the exit of the first step's container until the step turns green in the
// browser. Prints a JSON array of milliseconds. Usage: node green.bench.mjs URL
//
// The time starts at the engine's "die" event and ends at the page's Date.now() when the step's
// section changes. Both use this machine's clock.

import { join } from "node:path";
import { artifacts, openBrowser } from "./labd.mjs";

const rounds = 10;
const url = process.argv[2];
const browser = await openBrowser();
const times = [];
try {
  for (let i = 0; i < rounds; i++) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    await page.goto(url + "/labs/first-container/");
    await page.evaluate(() => {
      window.greenAt = {};
      for (const step of document.querySelectorAll("[data-step]")) {
        new MutationObserver(() => {
          if (step.dataset.state === "done") window.greenAt[step.dataset.step] ??= Date.now();
        }).observe(step, { attributes: true, attributeFilter: ["data-state"] });
      }
    });
    await page.getByRole("button", { name: "Start lab", exact: true }).first().click();
    const rows = page.locator(".lab-terminal:not([hidden]) .xterm-rows");
    const sees = (pattern) =>
      page.waitForFunction((source) => new RegExp(source).test(document.querySelector(".lab-terminal:not([hidden]) .xterm-rows")?.textContent ?? ""), pattern, { timeout: 60_000 });
    await sees("# ");
    const type = async (text) => {
      await page.locator(".lab-terminal:not([hidden]) .xterm-screen").click();
      await page.keyboard.type(text + "\n");
    };
    await type("until docker info >/dev/null 2>&1; do sleep 0.1; done; clear; echo up$((1))");
    await sees("up1");
    await type("clear; docker run --name first hello-world");
    await page.locator('[data-step="hello"][data-state="done"]').waitFor({ timeout: 60_000 }).catch(async (err) => {
      await page.screenshot({ path: join(artifacts, "green-failed.png") });
      throw err;
    });
    // The client truncates "now" to the second, so the event is listed only after that second.
    await type("clear; until docker events --since 5m --until 0s --filter event=die --format 'at={{.TimeNano}}=' | grep at; do sleep 0.2; done");
    await sees("at=[0-9]+=").catch(async (err) => {
      await page.screenshot({ path: join(artifacts, "green-failed.png") });
      throw err;
    });
    const reached = Number(/at=([0-9]+)=/.exec(await rows.textContent())[1]) / 1e6;
    times.push((await page.evaluate(() => window.greenAt["hello"])) - Math.round(reached));
    await page.evaluate(async () => {
      const { sessions } = await (await fetch("/api/v1/sessions?lab=first-container")).json();
      for (const s of sessions) await fetch("/api/v1/sessions/" + s.id, { method: "DELETE" });
    });
    await context.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(times));
