// Splits a query into words.

import { stem, terms } from "./terms.js";

export const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;
const wordLike = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+|[^\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu;

/** Stop words, ignored unless the query has nothing else. */
const fillers = new Set(
  "a an and are as at be by can do does for from how i in is it my of on or that the this to what when where which why with 如何 怎么 怎样 怎么样 什么 为什么 可以 哪些 哪个".split(" "),
);
/** Characters that separate words. */
const between = /[的了是吗呢吧]/u;

/** Limit for queries from a URL. */
const maxQuery = 200;
const maxWords = 12;

/**
 * A part of a query. In scripts with spaces text is a stem, raw is the word as typed. In scripts
 * without spaces text is looked up by its pairs of characters; loose means that its word borders
 * are unknown.
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
  /** Pairs across word borders. Sections that have them match the query more exactly. */
  borders: string[];
  /** The last word may be a prefix. */
  typing: boolean;
}

export type Cutter = (run: string) => string[];

/** The browser's segmenter for Chinese, if it has one. */
export function cutter(): Cutter | null {
  if (typeof Intl === "undefined" || !("Segmenter" in Intl)) return null;
  const segmenter = new Intl.Segmenter("zh", { granularity: "word" });
  return (run) => Array.from(segmenter.segment(run), (s) => s.segment);
}

export function pairsOf(chars: string[]): string[] {
  if (chars.length === 1) return [...chars];
  return chars.slice(1).map((c, i) => (chars[i] ?? "") + c);
}

/** Segments text without spaces into dictionary words and the text between them. */
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
  // A query with nothing but stop words is used as it is.
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
  // A single character after a longer word says little alone.
  const single = (w: Word): boolean => w.pairs.length === 1 && Array.from(w.text).length === 1;
  if (list.some((w) => !w.filler && !single(w))) list = list.filter((w) => !w.filler && !single(w));
  return { words: list, borders: [...borders].slice(0, maxWords), typing: /[\p{L}\p{Nd}]$/u.test(text) };
}

/** The word without an unfinished ending: networki → network. */
export function completions(raw: string): string[] {
  const out = new Set<string>();
  for (const end of ["ing", "ed", "es"]) {
    for (let n = 1; n < end.length; n++) {
      if (raw.length > n + 2 && raw.endsWith(end.slice(0, n))) out.add(stem(raw.slice(0, -n) + end));
    }
  }
  return [...out];
}
