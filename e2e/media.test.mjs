// System settings that pages must follow: forced colours, reduced motion, more contrast.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Course } from "./course.mjs";
import { openBrowser } from "./labd.mjs";
import { newLearner, shot } from "./page.mjs";

const files = {
  "en/_index.md": '+++\ntitle = "Course"\nsummary = "Learn."\n+++\n',
  "en/m/_index.md": '+++\ntitle = "Module"\n+++\n',
  "en/m/lesson.md": `+++
title = "Lesson"
+++
Words with \`code\` and [a link](other.md).

> [!WARNING]
> Take care.

\`\`\`diagram {title="Who asks whom" alt="The browser asks web, and web asks the database."}
direction: right
browser -> web: asks
host: A host {
  web: "web"
  db: {shape: cylinder; class: accent}
}
web -> host.db: reads
\`\`\`

## Part

::::tabs
:::tab Debian
Apples.
:::
:::tab macOS
Pears.
:::
::::

\`\`\`bash
echo one
\`\`\`

${"Filler.\n\n".repeat(60)}

## Question

:::quiz Which command lists *all* containers?
- [ ] \`docker ps\`
  Only running ones.
- [x] \`docker ps -a\`
  With \`-a\` also those that have ended.
:::
`,
  "en/m/other.md": '+++\ntitle = "Other"\n+++\n## One\n\nText.\n\n## Two\n\nText.\n',
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

/** Returns computed styles of an element or its pseudo-element. */
const style = (locator, properties, pseudo) =>
  locator.evaluate((e, [names, of]) => Object.fromEntries(names.map((n) => [n, getComputedStyle(e, of)[n]])), [properties, pseudo]);

const clear = /^rgba?\(0, 0, 0, 0\)$|^transparent$/;

/** Reports whether an element's border or outline is visible. */
async function hasFrame(locator, side = "Top") {
  const s = await style(locator, [`border${side}Width`, `border${side}Style`, `border${side}Color`]);
  const page = await locator.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  return s[`border${side}Style`] !== "none" && parseFloat(s[`border${side}Width`]) > 0 && !clear.test(s[`border${side}Color`]) && s[`border${side}Color`] !== page;
}

for (const colorScheme of ["light", "dark"]) {
  test(`in forced colours everything can be distinguished: ${colorScheme}`, async (t) => {
    const page = await newLearner(t, browser, { forcedColors: "active", colorScheme, viewport: { width: 1400, height: 900 } });
    await page.goto(`${course.url}/m/lesson/`);
    assert.equal(await page.evaluate(() => matchMedia("(forced-colors: active)").matches), true);
    const ground = await page.evaluate(() => getComputedStyle(document.body.appendChild(Object.assign(document.createElement("i"), { style: "background: Canvas" }))).backgroundColor);

    // Every focused element must show that it has the focus.
    const seen = []; // focused elements without a visible outline
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press("Tab");
      // the end of the page
      if (await page.evaluate(() => !document.activeElement.closest("header, main, nav, footer, .skip"))) break;
      const at = await page.evaluate(() => {
        const e = document.activeElement;
        const shown = e.matches(".tabs > input") ? e.parentElement.querySelector("label") : (e.closest(".quiz-answers label, .done-box") ?? e);
        const s = getComputedStyle(shown);
        return { what: `${e.localName}.${e.className} ${e.textContent.trim().slice(0, 20)}`, style: s.outlineStyle, width: parseFloat(s.outlineWidth), colour: s.outlineColor };
      });
      if (at.style === "none" || at.width < 1 || at.colour === ground || clear.test(at.colour)) seen.push(at);
    }
    assert.deepEqual(seen, [], "these have the focus and don't show it");

    // Smooth scrolling may still be under way, which also changes the current entry of the table of
    // contents.
    const where = { "the current lesson": ".nav-module [aria-current=page]", "the current part": ".toc [aria-current]" };
    for (const [what, selector] of Object.entries(where)) {
      const outlined = ([wanted, plain]) => {
        const e = document.querySelector(wanted);
        const s = e && getComputedStyle(e);
        return s?.outlineStyle === "solid" && s.outlineColor !== plain;
      };
      await page.waitForFunction(outlined, [selector, ground]).catch((e) => assert.fail(`${what} looks like any other: ${e.message}`));
    }

    // Diagrams: lines and text are visible.
    const picture = page.getByRole("img", { name: "Who asks whom" });
    for (const box of await picture.locator(".box, .frame").all()) {
      const { fill, stroke } = await style(box, ["fill", "stroke"]);
      assert.ok(stroke !== fill && stroke !== "none" && stroke !== ground, `a box is ${stroke} on ${fill}`);
    }
    for (const line of await picture.locator(".line").all()) assert.notEqual((await style(line, ["stroke"])).stroke, ground);
    for (const word of await picture.locator("text").all()) assert.notEqual((await style(word, ["fill"])).fill, ground);

    // Tabs: the selected tab is visible.
    const tab = (name) => page.locator(".tabs > label", { hasText: name });
    assert.equal(await hasFrame(tab("Debian"), "Bottom"), true, "the open tab has no line");
    assert.equal(await hasFrame(tab("macOS"), "Bottom"), false, "a tab that is not open has a line");
    assert.equal(await hasFrame(page.locator(".callout"), "Left"), true, "a callout has no border");
    assert.equal(await hasFrame(page.locator(".code").first()), true, "code has no border");
    await shot(page, `media-forced-${colorScheme}`);

    // Quizzes: chosen, wrong and right answers are visible.
    const answers = page.locator(".quiz-answers label");
    const button = page.getByRole("button", { name: "Check" });
    assert.equal(await hasFrame(answers.first()), true);
    assert.equal(await hasFrame(button), true, "the button has no border");
    const open = await style(answers.first(), ["borderTopStyle", "borderTopWidth", "outlineStyle", "borderTopColor"]);
    await answers.first().click();
    await page.mouse.move(0, 0);
    await page.evaluate(() => document.activeElement.blur());
    assert.notDeepEqual(await style(answers.first(), ["borderTopStyle", "borderTopWidth", "outlineStyle", "borderTopColor"]), open, "a chosen answer looks like any other");
    await button.click();
    await page.locator("[data-state=wrong] > .quiz-actions").waitFor();
    const sign = async (n) => (await style(answers.nth(n), ["content"], "::after")).content;
    assert.match(await sign(0), /✗/);
    await answers.nth(1).click();
    await button.click();
    await page.locator("[data-state=right] > .quiz-actions").waitFor();
    assert.match(await sign(1), /✓/);
    await shot(page, `media-forced-quiz-${colorScheme}`);

    // Done lessons have a visible tick.
    await page.getByRole("checkbox", { name: "Mark as done" }).check();
    const tick = page.locator(".nav-module a.is-done");
    const { borderBottomColor, borderBottomWidth } = await style(tick, ["borderBottomColor", "borderBottomWidth"], "::after");
    assert.ok(parseFloat(borderBottomWidth) > 0 && borderBottomColor !== ground, "the tick is not seen");
    await page.goto(`${course.url}/m/`);
    await page.getByText("1 of 2 lessons done").waitFor();
    assert.equal(await hasFrame(page.locator(".progress.is-shown progress")), true, "how far one is is not seen");
    await shot(page, `media-forced-module-${colorScheme}`);

    // The search: its field and the selected result are visible.
    await page.keyboard.press("/");
    await page.getByRole("combobox").fill("container");
    const result = page.getByRole("option").first();
    await result.waitFor();
    await page.keyboard.press("ArrowDown");
    const chosen = await style(page.locator("[role=option][aria-selected=true]"), ["outlineStyle", "outlineColor"]);
    assert.ok(chosen.outlineStyle === "solid" && chosen.outlineColor !== ground, "the chosen result looks like any other");
    const mark = await style(page.locator("mark").first(), ["backgroundColor", "color"]);
    assert.notEqual(mark.backgroundColor, ground);
    assert.notEqual(mark.backgroundColor, mark.color);
    await shot(page, `media-forced-search-${colorScheme}`);

    await page.goto(course.url);
    assert.equal(await hasFrame(page.locator(".button.primary").first()), true, "the first button has no border");
  });
}

test("reduced motion turns scrolling animations off, otherwise they are on", async (t) => {
  const page = await newLearner(t, browser, { reducedMotion: "no-preference" });
  await page.goto(`${course.url}/m/lesson/`);
  const scrolling = () => page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior);
  assert.equal(await scrolling(), "smooth");
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.equal(await scrolling(), "auto");
  for (const path of ["/", "/m/", "/m/lesson/", "/search/"]) {
    await page.goto(course.url + path);
    const moving = await page.evaluate(() => {
      const seconds = (list) => Math.max(...list.split(",").map((s) => parseFloat(s) * (s.trim().endsWith("ms") ? 0.001 : 1)));
      return [...document.querySelectorAll("*")].flatMap((e) =>
        [undefined, "::before", "::after"].flatMap((of) => {
          const s = getComputedStyle(e, of);
          const still = seconds(s.transitionDuration) < 0.01 && (s.animationName === "none" || (seconds(s.animationDuration) < 0.01 && s.animationIterationCount === "1"));
          return still ? [] : [`${e.localName}.${e.className}${of ?? ""}`];
        }),
      );
    });
    assert.deepEqual(moving, [], path);
  }
  // Jumps within the page are not animated.
  await page.goto(`${course.url}/m/lesson/`);
  const after = await page.evaluate(() => {
    document.querySelector('[data-toc] a[href="#question"]').click();
    return document.getElementById("question").getBoundingClientRect().top;
  });
  assert.ok(after >= 0 && after < 200, `the heading is at ${after}`);
});

test("more contrast makes borders and muted text easier to see", async (t) => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await newLearner(t, browser, { colorScheme });
    await page.goto(`${course.url}/m/lesson/`);
    /** Returns the WCAG contrast of borders and muted text with the background. */
    const contrast = () =>
      page.evaluate(() => {
        const light = (colour) => {
          const [r, g, b] = colour.match(/[\d.]+/g).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = light(getComputedStyle(document.documentElement).backgroundColor);
        const of = (selector, property) => {
          const l = light(getComputedStyle(document.querySelector(selector))[property]);
          return (Math.max(l, ground) + 0.05) / (Math.min(l, ground) + 0.05);
        };
        return { line: of(".code", "borderTopColor"), box: of(".quiz-answers label", "borderTopColor"), words: of(".toc li:nth-child(2) a", "color") };
      });
    const usual = await contrast();
    await page.emulateMedia({ contrast: "more" });
    const more = await contrast();
    assert.ok(more.line >= 3 && more.box >= 3, `lines have ${JSON.stringify(more)}, before ${JSON.stringify(usual)}`);
    assert.ok(more.words >= 7 && more.words > usual.words, `quiet words have ${JSON.stringify(more)}, before ${JSON.stringify(usual)}`);
    await shot(page, `media-contrast-${colorScheme}`);
  }
});
