// What pages do in a browser beyond being read: theme, copy, tabs, menu, search, language switch, live reload. A course of
// its own is served with `sitegen serve`; no lab server is needed.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openBrowser } from "./labd.mjs";
import { newLearner, shot } from "./page.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const bin = process.env.SITEGEN_BIN ?? join(here, "..", "bin", "sitegen");

const lesson = (text = "Original text.") => `+++
title = "Lesson"
tags = ["one"]
+++
${text}

## Sessions

\`\`\`console
$ docker ps \\
    -a
CONTAINER ID
$ id
\`\`\`

::::tabs
:::tab Debian
Apples.
:::
:::tab macOS
Pears.
:::
::::

::::tabs
:::tab Debian
More apples.
:::
:::tab macOS
More pears.
:::
::::

## Publishing ports

A published port can be reached from outside.

${"Filler.\n\n".repeat(60)}
`;

const files = {
  "en/_index.md": '+++\ntitle = "Course"\n+++\n',
  "zh/_index.md": '+++\ntitle = "课程"\n+++\n',
  "en/m/_index.md": '+++\ntitle = "Module"\n+++\n',
  "en/m/lesson.md": lesson(),
  "en/m/other.md": '+++\ntitle = "Other"\n+++\nNothing.\n',
};

let dir, server, url, browser;

async function write(name, text) {
  const file = join(dir, "content", name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "site-e2e-"));
  for (const [name, text] of Object.entries(files)) await write(name, text);
  server = spawn(bin, ["serve", "-addr", "127.0.0.1:0"], { cwd: dir, stdio: ["ignore", "pipe", "inherit"] });
  url = await new Promise((resolve, reject) => {
    let out = "";
    server.stdout.on("data", (d) => {
      out += d;
      const m = /serving (http:\/\/\S+?)\/ /.exec(out);
      if (m) resolve(m[1]);
    });
    server.once("exit", (code) => reject(new Error(`sitegen ended with ${code}: ${out}`)));
  });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  if (server && server.exitCode === null) {
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGTERM");
    await gone;
  }
  await rm(dir, { recursive: true, force: true });
});

test("the theme follows the system until one is chosen, and the choice stays", async (t) => {
  const page = await newLearner(t, browser, { colorScheme: "dark" });
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.goto(`${url}/m/lesson/`);
  const dark = await ground();
  await page.locator("[data-theme-toggle]").click();
  const light = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await page.locator("[data-theme-toggle]").waitFor();
  await page.waitForFunction((c) => getComputedStyle(document.documentElement).backgroundColor === c, light);
});

test("copying a session takes its commands only", async (t) => {
  const page = await newLearner(t, browser, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(`${url}/m/lesson/`);
  const block = page.locator(".code.console");
  await block.hover();
  await block.getByRole("button", { name: "Copy" }).click();
  await block.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "docker ps \\\n    -a\nid\n");
});

test("tabs of one title are chosen together, with the keyboard too", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${url}/m/lesson/`);
  await page.getByText("Apples.", { exact: true }).waitFor();
  assert.equal(await page.getByText("Pears.", { exact: true }).isVisible(), false);
  await page.locator("label", { hasText: "macOS" }).first().click();
  await page.getByText("More pears.").waitFor();
  assert.equal(await page.getByText("More apples.").isVisible(), false);
  await page.keyboard.press("ArrowLeft");
  await page.getByText("More apples.").waitFor();
});

test("the menu on a small screen opens, closes with Escape and gives the focus back", async (t) => {
  const page = await newLearner(t, browser, { viewport: { width: 390, height: 800 } });
  await page.goto(`${url}/m/lesson/`);
  const button = page.getByRole("button", { name: "Menu" });
  const nav = page.locator("#nav");
  assert.equal(await nav.isVisible(), false);
  await button.click();
  await nav.waitFor();
  assert.equal(await button.getAttribute("aria-expanded"), "true");
  await shot(page, "site-menu");
  await page.keyboard.press("Escape");
  await nav.waitFor({ state: "hidden" });
  assert.equal(await button.evaluate((b) => b === document.activeElement), true);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "the page is wider than the screen");
});

test("without JavaScript the menu opens and tabs switch", async (t) => {
  const page = await newLearner(t, browser, { viewport: { width: 390, height: 800 }, javaScriptEnabled: false });
  await page.goto(`${url}/m/lesson/`);
  await page.locator("label", { hasText: "macOS" }).first().click();
  await page.getByText("Pears.", { exact: true }).waitFor();
  await page.locator("[data-menu]").click();
  await page.locator("#nav").getByRole("link", { name: "Other" }).click();
  await page.getByRole("heading", { level: 1, name: "Other" }).waitFor();
});

test("a key opens the search, and it is driven with the keyboard", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${url}/m/other/`);
  await page.keyboard.press("/");
  await page.getByRole("searchbox").waitFor();
  await page.keyboard.type("publishes prots");
  await page.locator("[data-search-results] mark").first().waitFor();
  await shot(page, "site-search");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/m/lesson/#publishing-ports");
});

test("the language switch stays on the page", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${url}/m/lesson/`);
  await page.getByRole("banner").getByRole("link", { name: "中文" }).click();
  await page.waitForURL("**/zh/m/lesson/");
  await page.getByText("本课尚无中文翻译").waitFor();
});

test("the table of contents follows", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${url}/m/lesson/`);
  const current = page.locator("[data-toc] [aria-current]");
  assert.equal(await current.textContent(), "Sessions");
  await page.evaluate(() => scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" }));
  await page.locator('[data-toc] [aria-current][href="#publishing-ports"]').waitFor();
});

test("an edit shows by itself, keeps the place, and a mistake is shown with its line", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${url}/m/lesson/`);
  await page.evaluate(() => scrollTo({ top: 700, behavior: "instant" }));
  await write("en/m/lesson.md", lesson("Edited text."));
  await page.getByText("Edited text.").waitFor();
  await page.waitForFunction(() => Math.abs(scrollY - 700) < 5);
  await write("en/m/lesson.md", lesson().replace("title", "titel"));
  await page.getByText('unknown key "titel"').waitFor();
  await shot(page, "site-mistake");
  await write("en/m/lesson.md", lesson("Corrected text."));
  await page.getByText("Corrected text.").waitFor();
});
