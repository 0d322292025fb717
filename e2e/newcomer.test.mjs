// The newcomer's path: home page, lesson, lab, terminal, steps turning green, wrong states, a
// reload, a restart of labd, the end of the session. Uses a real engine, gVisor and browser, in
// English and Chinese.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Labd, openBrowser } from "./labd.mjs";
import { endLab, newLearner, patience, runBlock, sees, shot, startLab, stepIs, type, words } from "./page.mjs";

let labd, browser;
before(async () => {
  labd = await Labd.create();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await labd?.close();
});

for (const [lang, w] of Object.entries(words)) {
  test(`a newcomer finishes the first lab (${lang})`, async (t) => {
    const page = await newLearner(t, browser);

    await page.goto(labd.url + w.prefix + "/");
    await shot(page, `${lang}-1-home`);
    await page.locator("main").getByRole("link", { name: w.lesson, exact: false }).first().click();
    await page.getByRole("heading", { level: 1, name: w.lesson }).waitFor();
    await shot(page, `${lang}-2-lesson`);

    await page.goto(labd.url + w.prefix + "/labs/first-container/");
    await page.getByRole("heading", { level: 1, name: w.lab }).waitFor();
    await page.getByRole("button", { name: w.start, exact: true }).first().click();
    await sees(page, "# ");
    await stepIs(page, "hello", "open");
    await shot(page, `${lang}-3-started`);

    await t.test("a wrong state shows what was seen and its hint", async () => {
      await type(page, "docker create --name half hello-world");
      const card = page.locator('[data-step="hello"] .step-status');
      await card.getByText("docker start", { exact: false }).first().waitFor({ timeout: patience });
      const strip = page.locator(".lab-strip");
      await strip.getByText("docker start", { exact: false }).first().waitFor();
      await shot(page, `${lang}-4-wrong-state`);
      await type(page, "docker rm half");
      await strip.waitFor({ state: "hidden", timeout: patience });
    });

    await t.test("a click runs a command and the step turns green", async () => {
      await runBlock(page, "hello", 0);
      await sees(page, "Hello from Docker!");
      await stepIs(page, "hello", "done");
      await stepIs(page, "background", "open");
      await shot(page, `${lang}-5-first-step-done`);
      await runBlock(page, "background", 0);
      await stepIs(page, "background", "done");
    });

    await t.test("typed commands count as well", async () => {
      await type(page, "docker run -d --name cache7 -p 6380:6379 redis:7");
      await stepIs(page, "two-versions", "done");
    });

    await t.test("a reload brings back the same shell with its scrollback", async () => {
      await type(page, "clear; marker=$((6*7)); echo before-reload-$marker");
      await sees(page, "before-reload-42");
      await page.reload();
      await sees(page, "before-reload-42");
      await type(page, "echo after-$marker");
      await sees(page, "after-42");
      await stepIs(page, "two-versions", "done");
    });

    await t.test("a restart of labd brings back the same shell", async () => {
      await labd.restart();
      await type(page, "echo restarted-$((marker+1))");
      await sees(page, "restarted-43");
      await shot(page, `${lang}-6-after-restart`);
    });

    await t.test("the last steps turn green", async () => {
      await type(page, "clear");
      await runBlock(page, "inside", 0);
      await page.waitForFunction(() => /root@[0-9a-f]{12}/.test(document.querySelector(".lab-terminal:not([hidden]) .xterm-rows")?.textContent ?? ""));
      await runBlock(page, "inside", 1);
      await runBlock(page, "inside", 2);
      await stepIs(page, "inside", "done");
      await runBlock(page, "again", 0);
      await stepIs(page, "again", "done");
      await runBlock(page, "clean-up", 1);
      await stepIs(page, "clean-up", "done");
      await shot(page, `${lang}-7-all-done`);
    });

    await t.test("ending the lab leaves nothing behind", async () => {
      await endLab(page, w);
      assert.deepEqual(await labd.remains(), []);
      await shot(page, `${lang}-8-ended`);
    });
  });
}

test("on a phone the lab opens below the text and works", async (t) => {
  const page = await newLearner(t, browser, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, colorScheme: "dark" });
  await page.goto(labd.url + "/labs/first-container/");
  await shot(page, "mobile-1-lab");
  await page.getByRole("button", { name: "Start lab", exact: true }).first().click();
  await sees(page, "# ");
  await shot(page, "mobile-2-started");
  const wider = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  assert.equal(wider, false, "the page scrolls sideways");
  await endLab(page);
  assert.deepEqual(await labd.remains(), []);
});

test("without JavaScript the whole lab can be read", async (t) => {
  const page = await newLearner(t, browser, { javaScriptEnabled: false });
  for (const prefix of ["", "/zh"]) {
    await page.goto(`${labd.url}${prefix}/labs/first-container/`);
    assert.equal(await page.locator("section.step").count(), 6);
    assert.ok(await page.locator("pre").first().isVisible());
  }
  await shot(page, "no-javascript");
});

test("two learners do not see each other", async (t) => {
  const one = await newLearner(t, browser);
  const two = await newLearner(t, browser);
  await startLab(one, labd);
  const mine = await one.evaluate(async () => (await (await fetch("/api/v1/sessions?lab=first-container")).json()).sessions[0].id);
  await two.goto(labd.url + "/");
  await two.evaluate(() => fetch("/api/v1/progress"));
  const status = await two.evaluate(async (id) => (await fetch("/api/v1/sessions/" + id)).status, mine);
  const unknown = await two.evaluate(async () => (await fetch("/api/v1/sessions/nothing-like-this")).status);
  assert.equal(status, 404);
  assert.equal(unknown, 404);
  await endLab(one);
});
