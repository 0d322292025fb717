// The live preview: open pages follow every edit of their author.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Course } from "./course.mjs";
import { openBrowser } from "./labd.mjs";
import { newLearner, shot } from "./page.mjs";

const lesson = (text = "Original text.") => `+++
title = "Lesson"
+++
${text}

::::tabs
:::tab Debian
Apples.
:::
:::tab macOS
Pears.
:::
::::

\`\`\`text
${"a very long line ".repeat(40)}
\`\`\`

${"Filler.\n\n".repeat(30)}

## Part two

${"Filler.\n\n".repeat(30)}
`;

const files = {
  "en/_index.md": '+++\ntitle = "Course"\n+++\n',
  "en/m/_index.md": '+++\ntitle = "Module"\n+++\n',
  "en/m/lesson.md": lesson(),
};

let course, browser;

before(async () => {
  course = await Course.open(files, { assets: true });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await course?.close();
});

const path = "en/m/lesson.md";
const overlay = (page) => page.getByRole("alert");

/** The lesson's initial text. */
async function opened(t) {
  await course.write(path, lesson());
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/m/lesson/`);
  await page.getByText("Original text.").waitFor();
  return page;
}

test("an edit is shown automatically, and scroll position and choices stay", async (t) => {
  const page = await opened(t);
  await page.locator("label", { hasText: "macOS" }).click();
  const block = page.locator("pre").first();
  await block.evaluate((e) => e.scrollTo({ left: 120, behavior: "instant" }));
  await page.evaluate(() => scrollTo({ top: 700, behavior: "instant" }));
  await course.write(path, lesson("Edited text."));
  await page.getByText("Edited text.").waitFor();
  await page.waitForFunction(() => Math.abs(scrollY - 700) < 5);
  await page.waitForFunction(() => document.querySelector("pre").scrollLeft === 120);
  assert.equal(await page.getByText("Pears.", { exact: true }).isVisible(), true);
});

test("text inserted above does not move what is being read", async (t) => {
  const page = await opened(t);
  const heading = page.locator("#part-two");
  await heading.evaluate((e) => scrollTo({ top: e.getBoundingClientRect().top + scrollY - 200, behavior: "instant" }));
  await course.write(path, lesson("New text above.\n\n".repeat(20)));
  await page.getByText("New text above.").first().waitFor();
  await page.waitForFunction(() => Math.abs(document.getElementById("part-two").getBoundingClientRect().top - 200) < 5);
});

test("a mistake is shown with its line over the previous page, and disappears when it is fixed", async (t) => {
  const page = await opened(t);
  await course.write(path, lesson().replace("title", "titel"));
  await overlay(page).getByText('unknown key "titel"').waitFor();
  assert.match(await overlay(page).textContent(), /content\/en\/m\/lesson\.md:2.*2 \| titel = "Lesson"/s);
  await shot(page, "site-mistake");
  await page.getByText("Original text.").waitFor();
  await course.write(path, lesson("Corrected text."));
  await page.getByText("Corrected text.").waitFor();
  await overlay(page).waitFor({ state: "detached" });
});

test("dismissed mistakes come back when they change", async (t) => {
  const page = await opened(t);
  await course.write(path, lesson("[away](nowhere.md)"));
  await overlay(page).getByText("nowhere.md").first().waitFor();
  await page.keyboard.press("Escape");
  await overlay(page).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "1 mistake" }).waitFor();
  await course.write(path, lesson("[away](nowhere.md) [gone](elsewhere.md)"));
  await overlay(page).getByText("elsewhere.md").first().waitFor();
  await page.getByRole("button", { name: "Dismiss" }).click();
  await page.getByRole("button", { name: "2 mistakes" }).click();
  await overlay(page).waitFor();
  await course.write(path, lesson());
  await overlay(page).waitFor({ state: "detached" });
  assert.equal(await page.getByRole("button", { name: "mistake" }).count(), 0);
});

test("the page of a renamed or deleted lesson says so, and comes back with its file", async (t) => {
  const page = await opened(t);
  await course.move(path, "en/m/renamed.md");
  await page.getByRole("heading", { name: "This page does not exist" }).waitFor();
  await course.move("en/m/renamed.md", path);
  await page.getByText("Original text.").waitFor();
  await course.remove(path);
  await page.getByRole("heading", { name: "This page does not exist" }).waitFor();
  await course.write(path, lesson("Here again."));
  await page.getByText("Here again.").waitFor();
});

test("a page waits while the server is down, and follows the next one", async (t) => {
  const page = await opened(t);
  await course.stop();
  await course.write(path, lesson("Written meanwhile."));
  await page.getByText("Original text.").waitFor();
  await course.start();
  await page.getByText("Written meanwhile.").waitFor();
});

test("a new lesson appears in the menu of open pages", async (t) => {
  const page = await opened(t);
  await course.write("en/m/new.md", '+++\ntitle = "Brand new"\n+++\nText.\n');
  t.after(() => course.remove("en/m/new.md"));
  await page.locator("#nav").getByRole("link", { name: "Brand new" }).waitFor();
});

test("a style sheet is replaced without reloading the page", async (t) => {
  const page = await opened(t);
  await page.evaluate(() => {
    window.same = true;
    window.bare = 0;
    // There must be no moment without styles.
    new MutationObserver(() => {
      if (![...document.styleSheets].some((s) => s.href?.includes("/assets/"))) window.bare++;
    }).observe(document.head, { childList: true });
  });
  const file = join(course.dir, "assets", "css", "tokens.css");
  const css = await readFile(file, "utf8");
  for (const [colour, shown] of [["#123456", "rgb(18, 52, 86)"], ["#654321", "rgb(101, 67, 33)"]]) {
    await writeFile(file, css.replace(/--bg: #ffffff/, `--bg: ${colour}`));
    await page.waitForFunction((c) => getComputedStyle(document.documentElement).backgroundColor === c, shown);
  }
  assert.deepEqual(await page.evaluate(() => [window.same, window.bare, document.querySelectorAll('link[rel=stylesheet]').length]), [true, 0, 1]);
  await writeFile(file, css);
});
