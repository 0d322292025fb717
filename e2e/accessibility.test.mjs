// Accessibility: runs axe-core on every kind of page of our own course, in both languages and
// themes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Course } from "./course.mjs";
import { openBrowser } from "./labd.mjs";
import { newLearner, shot, violations } from "./page.mjs";

let course, browser, kinds;

/** Follows links from the home page. Returns the path of one page of each kind and language. */
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

const long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft";
const wide = {
  "en/_index.md": '+++\ntitle = "Course"\n+++\n',
  "en/m/_index.md": `+++\ntitle = "Module ${long}"\n+++\n`,
  "en/m/lesson.md": `+++
title = "${long} and \`docker-compose-config-very-long\`"
summary = "${long}"
tags = ["${long}"]
+++
${long} and \`${"inline-code-that-is-long-".repeat(6)}\` and <https://example.com/${"path/".repeat(40)}>.

| ${"Head | ".repeat(9)}
|${"---|".repeat(9)}
| ${"cell with words | ".repeat(8)} \`${"code".repeat(20)}\` |

> [!NOTE]
> 1. one
>    - two
>      - ${long}

\`\`\`bash {title="${"path/".repeat(30)}file.sh"}
echo ${"word ".repeat(60)}
\`\`\`

## ${long}

Term ${long}
: Definition ${long}

::::tabs
:::tab ${long}
One
:::
:::tab Another tab with a long title
Two
:::
::::
`,
};

test("long words, wide tables and code fit on narrow screens and at 200 % zoom", async (t) => {
  const narrow = await Course.open(wide);
  t.after(() => narrow.close());
  const wrong = [];
  for (const options of [{ viewport: { width: 320, height: 640 } }, { viewport: { width: 720, height: 450 }, deviceScaleFactor: 2 }]) {
    const page = await newLearner(t, browser, options);
    for (const path of ["/", "/m/", "/m/lesson/", "/tags/", "/search/?q=docker"]) {
      await page.goto(narrow.url + path);
      if (path.includes("q=")) await page.getByRole("option").first().waitFor();
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (over > 0) wrong.push(`${path} is ${over} px too wide at ${options.viewport.width} px`);
    }
    await shot(page, `wide-${options.viewport.width}`);
  }
  assert.deepEqual(wrong, []);
});

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", { width: 1440, height: 900 }], ["phone", { width: 390, height: 800 }]]) {
    test(`pages have no accessibility violations: ${colorScheme}, ${device}`, async (t) => {
      const page = await newLearner(t, browser, { colorScheme, viewport, reducedMotion: "reduce" });
      const wrong = [];
      for (const [kind, path] of kinds) {
        await page.goto(course.url + path);
        wrong.push(...(await violations(page, `${kind} ${path}`)));
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (wide > 0) wrong.push(`${kind} ${path}: ${wide} px wider than the screen`);
        await shot(page, `a11y-${colorScheme}-${device}-${kind.replace(" ", "-")}`);
      }
      assert.deepEqual(wrong, []);
      assert.ok(kinds.size >= 18, `only these kinds were found: ${[...kinds.keys()]}`);
    });
  }

  test(`the search has no accessibility violations in use: ${colorScheme}`, async (t) => {
    const page = await newLearner(t, browser, { colorScheme, reducedMotion: "reduce" });
    await page.goto(course.url + "/");
    await page.keyboard.press("/");
    await page.getByRole("combobox").waitFor();
    const wrong = await violations(page, "dialog");
    await page.keyboard.type("container");
    await page.getByRole("option").first().waitFor();
    await page.keyboard.press("ArrowDown");
    wrong.push(...(await violations(page, "dialog with results")));
    await page.goto(course.url + "/zh/search/?q=%E5%AE%B9%E5%99%A8");
    await page.getByRole("option").first().waitFor();
    wrong.push(...(await violations(page, "search page with results")));
    assert.deepEqual(wrong, []);
  });
}
