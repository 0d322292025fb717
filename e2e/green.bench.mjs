// Measures how long after a container ended or became reachable its step turns green in the browser. Prints a JSON array of
// milliseconds. Usage: node green.bench.mjs URL
//
// The engine's own times are the start of the clock (State.FinishedAt, State.StartedAt), the page's Date.now() at the moment
// the step's section changes is its end: both read this machine's clock.

import { openBrowser } from "./labd.mjs";

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
    for (const [anchor, command, field] of [
      ["hello", "docker run --name h hello-world", "h:FinishedAt"],
      ["background", "docker run -d --name cache -p 6379:6379 redis:8", "cache:StartedAt"],
    ]) {
      await type(`clear; ${command}`);
      await page.locator(`[data-step="${anchor}"][data-state="done"]`).waitFor({ timeout: 60_000 });
      const [name, state] = field.split(":");
      await type(`clear; docker inspect -f 'at={{.State.${state}}}=' ${name}`);
      await sees("at=20[^=]*=");
      const text = await rows.textContent();
      const reached = Date.parse(/at=(20[^=]*)=/.exec(text)[1]);
      times.push((await page.evaluate((a) => window.greenAt[a], anchor)) - reached);
    }
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
