// What a learner does and sees on a page.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { artifacts } from "./labd.mjs";

/** The longest wait on a busy machine. `make bench` measures the real times. */
export const patience = 20_000;

/** Texts by which tests find what to click, as a person does. */
export const words = {
  en: { prefix: "", lesson: "Running containers", lab: "First containers", start: "Start lab", end: "End lab", more: "More", dismiss: "Dismiss" },
  zh: { prefix: "/zh", lesson: "运行容器", lab: "第一个容器", start: "开始实验", end: "结束实验", more: "更多", dismiss: "知道了" },
};

/**
 * Opens a page in a new browser context, which labd does not know yet. The test fails on any page
 * error.
 */
export async function newLearner(t, browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (e) => errors.push(String(e)));
  page.on("console", (m) => m.type() === "error" && /Content Security Policy/.test(m.text()) && errors.push(m.text()));
  t.after(async () => {
    await context.close();
    assert.deepEqual(errors, [], "the page reported errors");
  });
  return page;
}

/** Returns the violations that axe-core finds on the page. */
export async function violations(page, what) {
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await page.evaluate((tags) => window.axe.run(document, { runOnly: { type: "tag", values: tags } }), values);
  return found.violations.flatMap((v) => v.nodes.map((n) => `${what}: ${v.id}: ${n.target.join(" ")}: ${n.failureSummary?.replace(/\s+/g, " ")}`));
}

export const shot = (page, name) => page.screenshot({ path: join(artifacts, `${name}.png`) });

export const startButton = (page, w = words.en) => page.getByRole("button", { name: w.start, exact: true }).first();

/** Starts the first lab and waits for the shell's prompt. */
export async function startLab(page, labd, w = words.en) {
  await page.goto(`${labd.url}${w.prefix}/labs/first-container/`);
  await startButton(page, w).click();
  await sees(page, "# ");
}

export async function endLab(page, w = words.en) {
  await page.getByRole("button", { name: w.more, exact: true }).click();
  await page.locator("#lab-menu").getByRole("button", { name: w.end, exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: w.end, exact: true }).click();
  await page.locator(".lab-launch[data-phase=over], .lab-launch[data-phase=idle]").first().waitFor();
}

/** Waits until the visible terminal shows the text. */
export async function sees(page, text) {
  await page.waitForFunction(
    (wanted) => document.querySelector(".lab-terminal:not([hidden]) .xterm-rows")?.textContent?.replaceAll("\u00a0", " ").includes(wanted),
    text,
    { timeout: patience },
  );
}

/**
 * Waits until question, evaluated in the page, returns something true, and returns it. Use it when
 * question returns a promise: waitForFunction takes any promise for true and does not wait (`make
 * lint` refuses that).
 */
export async function until(page, question, arg) {
  for (const end = Date.now() + patience; ; await new Promise((wake) => setTimeout(wake, 50))) {
    const answer = await page.evaluate(question, arg);
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`still not so after ${patience / 1000} s: ${question} with ${JSON.stringify(arg)}`);
  }
}

/** Types a line into the visible terminal. */
export async function type(page, text) {
  await page.locator(".lab-terminal:not([hidden]) .xterm-screen").click();
  await page.keyboard.type(text + "\n");
}

/** Clicks the nth Run button of a step. */
export const runBlock = (page, anchor, n) => page.locator(`[data-step="${anchor}"] button.lab-run`).nth(n).click();

export const stepIs = (page, anchor, state) => page.locator(`[data-step="${anchor}"][data-state="${state}"]`).waitFor({ timeout: patience });
