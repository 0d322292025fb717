// Finds excerpts. The index holds only the beginning of each section, so the page is loaded for
// words further below.

import type { Doc, Marks } from "./find.js";
import { around } from "./highlight.js";

const skipped = "button, script, style, svg, template, .step-label";

/** Returns the text of one section of a page. */
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

/** Returns a piece of a section's text that contains a match. */
export async function excerpt([url, anchor]: Doc, marks: Marks, signal: AbortSignal): Promise<string | undefined> {
  const response = await fetch(url, { signal });
  if (!response.ok) return undefined;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return around(sectionText(page, anchor).replace(/\s+/g, " ").trim(), marks);
}
