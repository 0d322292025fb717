// The index holds only the beginning of each section. Where the words stand further below, the page itself has them.

import type { Doc, Marks } from "./find.js";
import { around } from "./highlight.js";

const skipped = "button, script, style, svg, template, .step-label";

/** The text of one section of a page. */
function sectionText(page: Document, anchor: string): string {
  for (const e of page.querySelectorAll(skipped)) e.remove();
  for (const e of page.querySelectorAll(".code-title")) e.append(" ");
  const target = anchor ? page.getElementById(anchor) : page.querySelector(".prose > *");
  if (!target) return "";
  if (!/^H[1-6]$/.test(target.tagName) && anchor) return target.textContent ?? "";
  const texts: string[] = [];
  for (let e = anchor ? target.nextElementSibling : target; e && !/^H[1-6]$/.test(e.tagName); e = e.nextElementSibling) texts.push(e.textContent ?? "");
  return texts.join(" ");
}

/** A piece of a section's text with something that was found in it; undefined if there is none. */
export async function excerpt([url, anchor]: Doc, marks: Marks, signal: AbortSignal): Promise<string | undefined> {
  const response = await fetch(url, { signal });
  if (!response.ok) return undefined;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return around(sectionText(page, anchor).replace(/\s+/g, " ").trim(), marks);
}
