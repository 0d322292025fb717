// What axe-core and a keyboard find on every kind of page of our own course, in both languages and themes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { Course } from "./course.mjs";
import { openBrowser } from "./labd.mjs";
import { newLearner, shot } from "./page.mjs";

const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let course, browser, kinds;

/** Follows links from the home page, and returns the address of one page of each kind and language. */
async function findKinds() {
  const found = new Map();
  const seen = new Set(["/"]);
  for (const path of seen) {
    const response = await fetch(course.url + path);
    if (!/^text\/html/.test(response.headers.get("content-type") ?? "")) continue;
    const html = await response.text();
    const kind = `${/<html lang="?([a-z]+)/.exec(html)?.[1]} ${/\bkind-(\w+)/.exec(html)?.[1]}`;
    if (!found.has(kind)) found.set(kind, path);
    for (const [, href] of html.matchAll(/<a [^>]*href="?(\/[^"#? >]*)/g)) seen.add(href);
  }
  found.set("en notfound", "/nowhere/").set("zh notfound", "/zh/nowhere/");
  return found;
}

before(async () => {
  course = await Course.own();
  kinds = await findKinds();
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await course?.close();
});

/** check fails with what axe finds wrong on the page as it is. */
async function check(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: "tag", values } }), rules);
  return violations.flatMap((v) => v.nodes.map((n) => `${what}: ${v.id}: ${n.target.join(" ")}: ${n.failureSummary?.replace(/\s+/g, " ")}`));
}

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", { width: 1440, height: 900 }], ["phone", { width: 390, height: 800 }]]) {
    test(`no page has a violation: ${colorScheme}, ${device}`, async (t) => {
      const page = await newLearner(t, browser, { colorScheme, viewport, reducedMotion: "reduce" });
      const wrong = [];
      for (const [kind, path] of kinds) {
        await page.goto(course.url + path);
        wrong.push(...(await check(page, `${kind} ${path}`)));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wide > 0) wrong.push(`${kind} ${path}: ${wide} px wider than the screen`);
        await shot(page, `a11y-${colorScheme}-${device}-${kind.replace(" ", "-")}`);
      }
      assert.deepEqual(wrong, []);
      assert.ok(kinds.size >= 18, `only these kinds were found: ${[...kinds.keys()]}`);
    });
  }

  test(`the search has no violation while it is used: ${colorScheme}`, async (t) => {
    const page = await newLearner(t, browser, { colorScheme, reducedMotion: "reduce" });
    await page.goto(course.url + "/");
    await page.keyboard.press("/");
    await page.getByRole("combobox").waitFor();
    const wrong = await check(page, "dialog");
    await page.keyboard.type("container");
    await page.getByRole("option").first().waitFor();
    await page.keyboard.press("ArrowDown");
    wrong.push(...(await check(page, "dialog with results")));
    await page.goto(course.url + "/zh/search/?q=%E5%AE%B9%E5%99%A8");
    await page.getByRole("option").first().waitFor();
    wrong.push(...(await check(page, "search page with results")));
    assert.deepEqual(wrong, []);
  });
}
