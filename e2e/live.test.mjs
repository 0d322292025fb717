// An author at work: pages that are open follow every edit by themselves.

import assert from "node:assert/strict";
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

${"Filler.\n\n".repeat(60)}
`;

const files = {
  "en/_index.md": '+++\ntitle = "Course"\n+++\n',
  "en/m/_index.md": '+++\ntitle = "Module"\n+++\n',
  "en/m/lesson.md": lesson(),
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

test("an edit shows by itself, keeps the place, and a mistake is shown with its line", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${course.url}/m/lesson/`);
  await page.evaluate(() => scrollTo({ top: 700, behavior: "instant" }));
  await course.write("en/m/lesson.md", lesson("Edited text."));
  await page.getByText("Edited text.").waitFor();
  await page.waitForFunction(() => Math.abs(scrollY - 700) < 5);
  await course.write("en/m/lesson.md", lesson().replace("title", "titel"));
  await page.getByText('unknown key "titel"').waitFor();
  await shot(page, "site-mistake");
  await course.write("en/m/lesson.md", lesson("Corrected text."));
  await page.getByText("Corrected text.").waitFor();
});
