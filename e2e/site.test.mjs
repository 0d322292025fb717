// Scripts of pages without a lab server: theme, copy, tabs, menu, language switch.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Course } from "./course.mjs";
import { openBrowser } from "./labd.mjs";
import { newLearner, shot } from "./page.mjs";

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

\`\`\`bash
docker pull nginx
docker run nginx

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
  "en/m/drawn.md": `+++\ntitle = "Drawn"\n+++
\`\`\`diagram {title="Who asks whom" alt="The browser asks web, and web asks the database."}
direction: right
browser -> web: asks
host: A long name of a host 你的机器 {
  web: "web\\nport 8000"
  db: {shape: cylinder; class: accent}
}
web -> host.db: reads
\`\`\`
`,
  "en/m/other.md": '+++\ntitle = "Other"\n+++\nNothing.\n',
};

let course, url, browser;

before(async () => {
  course = await Course.open(files);
  url = course.url;
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await course?.close();
});

test("the theme follows the system until one is chosen, which is stored", async (t) => {
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

test("copying a console session copies its commands only, and a paste does not run the last one", async (t) => {
  const page = await newLearner(t, browser, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(`${url}/m/lesson/`);
  const block = page.locator(".code.console");
  await block.hover();
  await block.getByRole("button", { name: "Copy" }).click();
  await block.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "docker ps \\\n    -a\nid");
  const commands = page.locator(".code:not(.console)");
  await commands.hover();
  await commands.getByRole("button", { name: "Copy" }).click();
  await commands.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "docker pull nginx\ndocker run nginx");
});

test("tabs with the same title switch together, also by keyboard", async (t) => {
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

test("the menu on a small screen opens, closes with Escape and restores the focus", async (t) => {
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

test("the language switch stays on the page", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${url}/m/lesson/`);
  await page.getByRole("banner").getByRole("link", { name: "中文" }).click();
  await page.waitForURL("**/zh/m/lesson/");
  await page.getByText("本课尚无中文翻译").waitFor();
});

test("the table of contents follows the scroll position", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${url}/m/lesson/`);
  const current = page.locator("[data-toc] [aria-current]");
  assert.equal(await current.textContent(), "Sessions");
  await page.evaluate(() => scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" }));
  await page.locator('[data-toc] [aria-current][href="#publishing-ports"]').waitFor();
});

test("a diagram has a name, fits its text, follows the theme, and scrolls on a phone", async (t) => {
  const page = await newLearner(t, browser, { colorScheme: "light" });
  await page.goto(`${url}/m/drawn/`);
  const picture = page.getByRole("img", { name: "Who asks whom", description: "The browser asks web, and web asks the database." });
  await picture.waitFor();
  const fill = () => picture.locator(".box.accent").first().evaluate((e) => getComputedStyle(e).fill);
  const light = await fill();
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await fill(), light);
  await page.emulateMedia({ media: "print" });
  assert.equal(await fill(), light, "paper is light");
  await page.emulateMedia({ media: "screen", colorScheme: "light" });
  const outside = await picture.evaluate((svg) => {
    const boxes = [...svg.querySelectorAll(".box, .frame")].map((b) => b.getBBox());
    return [...svg.querySelectorAll("text.name, text.title")].filter((text) => {
      const r = text.getBBox();
      return !boxes.some((b) => b.x <= r.x && b.y <= r.y && b.x + b.width >= r.x + r.width && b.y + b.height >= r.y + r.height);
    }).map((text) => text.textContent);
  });
  assert.deepEqual(outside, []);
  await page.setViewportSize({ width: 360, height: 700 });
  const [view, whole] = await page.evaluate(() => [document.querySelector(".diagram-view"), document.documentElement].map((e) => e.scrollWidth - e.clientWidth));
  assert.ok(view > 100, "the picture scrolls");
  assert.ok(whole <= 0, "the page does not");
});
