// Finds the parts of a text that match a query: whole words.

import type { Marks } from "./find.js";
import { unspaced } from "./query.js";
import { stem } from "./terms.js";

export type Part = [text: string, marked: boolean];

const word = /[\p{L}\p{Nd}]+/gu;
const spacedRun = /[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu;

/** Splits text into highlighted and plain parts. */
export function parts(text: string, marks: Marks): Part[] {
  const marked = new Uint8Array(text.length);
  for (const run of marks.runs) {
    for (let at = text.indexOf(run); at >= 0; at = text.indexOf(run, at + 1)) marked.fill(1, at, at + run.length);
  }
  for (const m of text.matchAll(word)) {
    for (const run of unspaced.test(m[0]) ? m[0].matchAll(spacedRun) : [{ 0: m[0], index: 0 }]) {
      const lower = run[0].toLowerCase();
      const stemmed = stem(lower);
      const found = marks.stems.has(stemmed) || marks.starts.some((s) => lower.startsWith(s) || stemmed.startsWith(s));
      if (found) marked.fill(1, m.index + run.index, m.index + run.index + run[0].length);
    }
  }
  const out: Part[] = [];
  for (let i = 0; i < text.length; ) {
    let end = i + 1;
    while (end < text.length && marked[end] === marked[i]) end++;
    out.push([text.slice(i, end), marked[i] === 1]);
    i = end;
  }
  return out;
}

export const hasMark = (text: string, marks: Marks): boolean => parts(text, marks).some(([, marked]) => marked);

/** Returns a piece of a text around its first match, undefined if there is none. */
export function around(text: string, marks: Marks, length = 240, before = 60): string | undefined {
  let at = 0;
  for (const [part, marked] of parts(text, marks)) {
    if (!marked) {
      at += part.length;
      continue;
    }
    let start = Math.max(0, at - before);
    // Cut between words, and never within a character.
    if (start > 0) {
      const space = text.slice(start, at).search(/\s/);
      if (space >= 0) start += space + 1;
      else if (/[\udc00-\udfff]/.test(text[start] ?? "")) start++;
    }
    const piece = Array.from(text.slice(start, start + length)).join("");
    return (start > 0 ? "…" : "") + piece.replace(/[\ud800-\udbff]$/, "") + (start + length < text.length ? "…" : "");
  }
  return undefined;
}

/** Appends text with its matches in <mark>. */
export function append(into: HTMLElement, text: string, marks: Marks): void {
  for (const [part, marked] of parts(text, marks)) {
    if (!marked) {
      into.append(part);
      continue;
    }
    const mark = document.createElement("mark");
    mark.textContent = part;
    into.append(mark);
  }
}
