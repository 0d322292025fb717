// Cuts a query into the words that a section should have.

import { stem, terms } from "./terms.js";

export const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;
const wordLike = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+|[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu;

/** What stands for nothing in a query, unless it is all there is. */
const fillers = new Set(
  "a an and are as at be by can do does for from how i in is it my of on or that the this to what when where which why with 如何 怎么 怎样 怎么样 什么 为什么 可以 哪些 哪个".split(" "),
);
/** Characters that stand between words, and hardly ever in one. */
const between = /[的了是吗呢吧]/u;

/** Nobody types more; an address may hold anything. */
const maxQuery = 200;
const maxWords = 12;

/**
 * Word is a part of a query. Text of a script with spaces is a stem, raw as it was typed. Text of one without is looked up
 * by its pairs of characters; loose says that nobody knows where its words begin and end.
 */
export interface Word {
  text: string;
  raw: string;
  pairs: string[];
  loose: boolean;
  filler: boolean;
}

export interface Query {
  words: Word[];
  /** Pairs across the borders of words: who has them says it just as the query does. */
  borders: string[];
  /** The last word may go on. */
  typing: boolean;
}

export type Cutter = (run: string) => string[];

/** The browser's own cutter of Chinese, where it has one. */
export function cutter(): Cutter | null {
  if (typeof Intl === "undefined" || !("Segmenter" in Intl)) return null;
  const segmenter = new Intl.Segmenter("zh", { granularity: "word" });
  return (run) => Array.from(segmenter.segment(run), (s) => s.segment);
}

export function pairsOf(chars: string[]): string[] {
  if (chars.length === 1) return [...chars];
  return chars.slice(1).map((c, i) => (chars[i] ?? "") + c);
}

/** Cuts a run of characters without spaces: dictionary words, and between them what the dictionary doesn't know. */
function cutRun(run: string, cut: Cutter | null): { text: string; loose: boolean }[] {
  const out: { text: string; loose: boolean }[] = [];
  let loose = "";
  const flush = (): void => {
    if (loose) out.push({ text: loose, loose: true });
    loose = "";
  };
  for (const part of cut ? cut(run) : Array.from(run)) {
    if (between.test(part) && Array.from(part).length === 1) flush();
    else if (Array.from(part).length === 1) loose += part;
    else {
      flush();
      out.push({ text: part, loose: false });
    }
  }
  flush();
  // A query of nothing but fillers is looked for as it is.
  return out.length > 0 ? out : [{ text: run, loose: true }];
}

export function parse(text: string, cut = cutter()): Query {
  text = text.slice(0, maxQuery);
  const words = new Map<string, Word>();
  const borders = new Set<string>();
  for (const [part] of text.matchAll(wordLike)) {
    if (!unspaced.test(part)) {
      for (const raw of part.toLowerCase().match(/[\p{L}\p{Nd}]+/gu) ?? []) {
        const [term] = terms(raw);
        if (term) words.set(term, { text: term, raw, pairs: [], loose: false, filler: fillers.has(raw) });
      }
      continue;
    }
    const within = new Set<string>();
    for (const { text, loose } of cutRun(part, cut)) {
      const pairs = pairsOf(Array.from(text));
      for (const p of pairs) within.add(p);
      words.set(text, { text, raw: text, pairs, loose, filler: fillers.has(text) });
    }
    for (const p of pairsOf(Array.from(part))) if (!within.has(p)) borders.add(p);
  }
  let list = [...words.values()].slice(0, maxWords);
  // What follows a word of two characters or more says little alone.
  const single = (w: Word): boolean => w.pairs.length === 1 && Array.from(w.text).length === 1;
  if (list.some((w) => !w.filler && !single(w))) list = list.filter((w) => !w.filler && !single(w));
  return { words: list, borders: [...borders].slice(0, maxWords), typing: /[\p{L}\p{Nd}]$/u.test(text) };
}

/** What a word may become when it is typed on: networki → network. */
export function completions(raw: string): string[] {
  const out = new Set<string>();
  for (const end of ["ing", "ed", "es"]) {
    for (let n = 1; n < end.length; n++) {
      if (raw.length > n + 2 && raw.endsWith(end.slice(0, n))) out.add(stem(raw.slice(0, -n) + end));
    }
  }
  return [...out];
}
