// The search: as a dialog, on its own page, by keyboard only, in both languages.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Course } from "./course.mjs";
import { openBrowser } from "./labd.mjs";
import { newLearner, shot } from "./page.mjs";

const filler = "Nothing to see in this part of the text. ".repeat(12);

const files = {
  "en/_index.md": '+++\ntitle = "Course"\n+++\n',
  "zh/_index.md": '+++\ntitle = "课程"\n+++\n',
  "en/m/_index.md": '+++\ntitle = "Module"\n+++\n',
  "zh/m/_index.md": '+++\ntitle = "模块"\n+++\n',
  "en/m/ports.md": `+++\ntitle = "Ports"\n+++\nIntroduction.\n\n## Publishing ports\n\nA published port can be reached.\n\n\`\`\`console\n$ docker run -p 8080:80 nginx\n\`\`\`\n\n## Far below\n\n${filler} Only a zeppelin is here.\n`,
  "zh/m/ports.md": '+++\ntitle = "端口"\n+++\n介绍。\n\n## 发布端口\n\n发布了的端口可以从外面访问。\n\n```console\n$ docker run -p 8080:80 nginx\n```\n\n## 隔离\n\n每个容器的网络是隔开的。\n',
  "en/m/other.md": '+++\ntitle = "Other"\n+++\nNothing.\n',
  "zh/m/other.md": '+++\ntitle = "其他"\n+++\n什么都没有。\n',
};

let course, browser;

before(async () => {
  course = await Course.open(files);
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await course?.close();
});

const dialog = (page) => page.locator("dialog.finder[open]");
const field = (page) => page.getByRole("combobox");
const marks = (page) => page.locator("[role=option] mark").allTextContents();

test("a key opens the search dialog, and it works by keyboard", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/m/other/`);
  await page.keyboard.press("/");
  await dialog(page).waitFor();
  await page.keyboard.type("publishes prots");
  const first = page.getByRole("option").first();
  await first.locator("mark").first().waitFor();
  await shot(page, "site-search");
  assert.match((await marks(page)).join(" "), /Publishing ports/);
  await page.keyboard.press("ArrowDown");
  assert.equal(await first.getAttribute("aria-selected"), "true");
  assert.equal(await field(page).getAttribute("aria-activedescendant"), await first.getAttribute("id"));
  await page.keyboard.press("ArrowUp");
  assert.equal(await field(page).getAttribute("aria-activedescendant"), null);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/m/ports/#publishing-ports");
});

test("Escape closes the dialog and restores the focus; Ctrl+K opens it with the last query", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/m/other/`);
  const link = page.locator("[data-find]");
  await link.focus();
  await page.keyboard.press("Enter");
  await dialog(page).waitFor();
  await page.keyboard.type("port");
  await page.getByRole("option").first().waitFor();
  await page.keyboard.press("Escape");
  // the first Escape may only clear the field
  if (await dialog(page).isVisible()) await page.keyboard.press("Escape");
  await dialog(page).waitFor({ state: "detached" });
  assert.equal(await link.evaluate((e) => e === document.activeElement), true);
  await page.keyboard.press("Control+k");
  await dialog(page).waitFor();
});

test("Chinese words are found apart from one another, and whole words are highlighted", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/zh/m/other/`);
  await page.keyboard.press("/");
  await dialog(page).waitFor();
  await page.keyboard.insertText("容器网络");
  await page.getByRole("option").first().locator("mark").first().waitFor();
  assert.deepEqual(await marks(page), ["容器", "网络"]);
  await shot(page, "site-search-zh");
  await field(page).fill("cokner 端口");
  await page.locator("[role=option] mark", { hasText: "端口" }).first().waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL((u) => decodeURIComponent(u.hash) === "#发布端口");
});

test("text that an input method is composing is not searched", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/zh/search/`);
  await field(page).waitFor();
  const client = await page.context().newCDPSession(page);
  const asked = [];
  page.on("request", (r) => asked.push(new URL(r.url()).pathname));
  await client.send("Input.imeSetComposition", { text: "rong", selectionStart: 4, selectionEnd: 4 });
  assert.equal(await field(page).inputValue(), "rong");
  await client.send("Input.insertText", { text: "容器" });
  await page.locator("mark", { hasText: "容器" }).first().waitFor();
  assert.deepEqual(asked.filter((p) => /\/t-/.test(p)), []);
});

test("the search page keeps the query in its URL and shows the number of results", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/search/?q=port`);
  await page.getByRole("status").filter({ hasText: /results?/ }).waitFor();
  const options = await page.getByRole("option").count();
  assert.match(await page.getByRole("status").textContent(), new RegExp(`\\b${options}\\b`));
  await field(page).fill("nothing of the kind xyzzyx");
  await page.waitForURL(/q=nothing/);
  await field(page).fill("qqqqq");
  await page.getByText("Nothing found.").waitFor();
  await page.keyboard.press("Escape");
  await page.waitForURL((u) => u.search === "");
});

test("the excerpt shows the word even far down the page, without a layout shift", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/search/?q=zeppelin`);
  const option = page.getByRole("option").first();
  await option.waitFor();
  const height = (await option.boundingBox()).height;
  await option.locator("mark", { hasText: "zeppelin" }).waitFor();
  assert.equal((await option.boundingBox()).height, height);
});

test("offline readers are told so, and the search continues when they are online", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/search/`);
  await field(page).waitFor();
  await page.context().setOffline(true);
  await field(page).fill("port");
  await page.getByText("You are offline").waitFor();
  await page.context().setOffline(false);
  await page.getByRole("option").first().waitFor();
});

test("a late answer never replaces a newer one", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/search/`);
  await field(page).waitFor();
  let release;
  const held = new Promise((r) => (release = r));
  let aborted = false;
  page.on("requestfailed", (r) => (aborted ||= /t-z\.json/.test(r.url())));
  await page.route("**/t-z.json", async (route) => {
    await held;
    await route.continue().catch(() => {}); // the page aborted the request
  });
  const asked = page.waitForRequest("**/t-z.json");
  await field(page).fill("zeppelin");
  await asked;
  await field(page).fill("publish");
  await page.locator("mark", { hasText: "Publishing" }).first().waitFor();
  assert.equal(aborted, true, "the load was not given up");
  release();
  await field(page).fill("publish ");
  await page.locator("mark", { hasText: "Publishing" }).first().waitFor();
});

test("on a phone the search fills the screen and a tap on a result of the page closes it", async (t) => {
  const page = await newLearner(t, browser, { viewport: { width: 390, height: 800 }, hasTouch: true });
  await page.goto(`${course.url}/m/ports/`);
  await page.locator("[data-find]").tap();
  await dialog(page).waitFor();
  await field(page).fill("publish");
  await page.getByRole("option").first().waitFor();
  await shot(page, "site-search-phone");
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  await page.getByRole("option").first().tap();
  await page.waitForURL("**/m/ports/#publishing-ports");
  await dialog(page).waitFor({ state: "detached" });
});

test("without JavaScript the magnifying glass leads to the search page", async (t) => {
  const page = await newLearner(t, browser, { javaScriptEnabled: false });
  await page.goto(`${course.url}/m/other/`);
  await page.locator("[data-find]").click();
  await page.getByRole("heading", { level: 1, name: "Search" }).waitFor();
});
