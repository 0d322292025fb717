// Finds sections in the index (its format: site/internal/search). Fetches only the files that a
// query needs.

import { type Cutter, completions, cutter, parse, unspaced, type Word } from "./query.js";
import { distance } from "./terms.js";

interface Index {
  docs: number;
  perFile: number;
  prefixes: string[];
  han: number;
}

export type Doc = [url: string, anchor: string, title: string, heading: string, text: string];

/** What to highlight in a text. */
export interface Marks {
  stems: Set<string>;
  starts: string[];
  runs: string[];
}

export interface Answer {
  docs: Doc[];
  marks: Marks;
}

type Postings = Map<number, number>;
type Found = { at: Postings; terms: string[] };

const maxResults = 12;
const maxPrefix = 6;
const maxCompletions = 3;
const maxGuesses = 4;
const weightOf = { completed: 0.5, guessed: 0.3, border: 0.4 };

/** A file being loaded, and the last query that needs it. */
interface Loading {
  query: number;
  abort: AbortController;
}

export class Search {
  readonly #base: string;
  readonly #cut: Cutter | null;
  readonly #files = new Map<string, Promise<unknown>>();
  readonly #loading = new Map<string, Loading>();
  #query = 0;

  constructor(base: string, cut: Cutter | null = cutter()) {
    this.#base = base;
    this.#cut = cut;
  }

  #load<T>(name: string, query: number): Promise<T> {
    const loading = this.#loading.get(name);
    if (loading) loading.query = Math.max(loading.query, query);
    let file = this.#files.get(name);
    if (!file) {
      const abort = new AbortController();
      this.#loading.set(name, { query, abort });
      file = fetch(`${this.#base}${name}.json`, { signal: abort.signal })
        .then((r) => {
          if (!r.ok) throw new Error(`${name}: ${r.status}`);
          return r.json() as Promise<unknown>;
        })
        .finally(() => this.#loading.get(name)?.abort === abort && this.#loading.delete(name));
      // Do not cache a failure.
      file.catch(() => this.#files.get(name) === file && this.#files.delete(name));
      this.#files.set(name, file);
    }
    return file as Promise<T>;
  }

  /** Aborts files that only older queries need. */
  #abandon(query: number): void {
    for (const [name, l] of this.#loading) {
      if (l.query >= query) continue;
      this.#loading.delete(name);
      this.#files.delete(name);
      l.abort.abort();
    }
  }

  /** Returns the terms of the file that would contain a term. */
  async #around(index: Index, term: string, query: number): Promise<Record<string, string>> {
    let name = "";
    if (unspaced.test(term)) {
      if (index.han > 0) name = `h-${(term.codePointAt(0) ?? 0) % index.han}`;
    } else {
      const letters = Array.from(term);
      for (let n = Math.min(maxPrefix, letters.length); n > 0 && !name; n--) {
        const prefix = letters.slice(0, n).join("");
        if (index.prefixes.includes(prefix)) name = `t-${fileWord(prefix)}`;
      }
    }
    return name ? this.#load<Record<string, string>>(name, query) : {};
  }

  /** Adds the postings of terms with a weight each. */
  async #gather(into: Found, index: Index, list: string[], factor: number, query: number): Promise<void> {
    const files = await Promise.all(list.map((t) => this.#around(index, t, query)));
    list.forEach((t, i) => add(into, files[i] ?? {}, t, factor));
  }

  /**
   * Returns the postings of a word. A word without any is taken as a prefix, then as a typing
   * mistake.
   */
  async #word(index: Index, word: Word, typing: boolean, query: number): Promise<Found> {
    const out: Found = { at: new Map(), terms: [] };
    const file = await this.#around(index, word.text, query);
    add(out, file, word.text, 1);
    if (typing) {
      const alone = word.text.length === 1; // every word begins so: the commonest will do
      if (!alone) for (const t of Object.keys(file)) if (t !== word.text && t.startsWith(word.text)) add(out, file, t, weightOf.completed);
      const elsewhere = index.prefixes.some((p) => p.length > word.text.length && p.startsWith(word.text));
      if (alone || elsewhere) {
        const longer = (await this.#load<string[]>("words", query)).filter((t) => t !== word.text && t.startsWith(word.text));
        await this.#gather(out, index, longer.slice(0, maxCompletions), weightOf.completed, query);
      }
      if (out.at.size === 0) await this.#gather(out, index, completions(word.raw), weightOf.completed, query);
    }
    if (out.at.size === 0) {
      // Rare words may be missing in the list.
      const vocabulary = new Set([...(await this.#load<string[]>("words", query)), ...Object.keys(file)]);
      await this.#gather(out, index, guesses(word.text, [...vocabulary], typing), weightOf.guessed, query);
    }
    return out;
  }

  /**
   * Returns the postings of a word in a script without spaces: the sections with all its pairs. A
   * loose word is segmented by what the index has.
   */
  async #run(index: Index, word: Word, typing: boolean, query: number): Promise<{ found: Found[]; extra: Found[] }> {
    const files = await Promise.all(word.pairs.map((p) => this.#around(index, p, query)));
    const pairs = word.pairs.map((p, i): Found => {
      const out: Found = { at: new Map(), terms: [] };
      add(out, files[i] ?? {}, p, 1);
      // A single character may be the first of a pair.
      if (p === word.text && Array.from(p).length === 1) {
        for (const t of Object.keys(files[i] ?? {})) if (t !== p && t.startsWith(p)) add(out, files[i] ?? {}, t, weightOf.completed);
        if (out.at.size > 0) out.terms = [p];
      }
      return out;
    });
    if (!word.loose) {
      const at = all(pairs);
      // Half a word is better than nothing while the other half is being typed.
      if (at.size > 0 || !typing) return { found: [{ at, terms: at.size > 0 ? [word.text] : [] }], extra: at.size > 0 ? [] : pairs };
    }
    const chosen = tile(pairs.map((p) => p.at.size));
    return { found: pairs.filter((_, i) => chosen.has(i)), extra: pairs.filter((_, i) => !chosen.has(i)) };
  }

  /**
   * Returns the best sections for a query. A newer query makes an older one fail with an
   * AbortError.
   */
  async find(text: string): Promise<Answer> {
    const query = ++this.#query;
    const marks: Marks = { stems: new Set(), starts: [], runs: [] };
    const { words, borders, typing } = parse(text, this.#cut);
    const last = words.at(-1);
    if (words.length === 0) {
      this.#abandon(query);
      return { docs: [], marks };
    }
    const index = await this.#load<Index>("index", query);
    const extra: Found[] = [];
    const lookups = words.map(async (w): Promise<Found[]> => {
      const open = typing && w === last;
      if (w.pairs.length === 0) return [await this.#word(index, w, open, query)];
      const r = await this.#run(index, w, open, query);
      extra.push(...r.extra);
      return r.found;
    });
    const edges: Found = { at: new Map(), terms: [] };
    const edge = this.#gather(edges, index, borders, 1, query);
    this.#abandon(query);
    const [lists] = await Promise.all([Promise.all(lookups), edge]);
    const found = lists.flat();
    const best = rank(index.docs, found, [...extra, edges]);
    const rows = Promise.all(
      best.map(async (doc) => {
        const file = await this.#load<Doc[]>(`d-${Math.floor(doc / index.perFile)}`, query);
        const row = file[doc % index.perFile];
        if (!row) throw new Error(`section ${doc} is missing`);
        return row;
      }),
    );
    this.#abandon(query);
    for (const t of found.flatMap((f) => f.terms)) {
      if (unspaced.test(t)) marks.runs.push(t);
      else marks.stems.add(t);
    }
    if (last && typing && last.pairs.length === 0) marks.starts.push(last.text);
    return { docs: await rows, marks };
  }
}

function add(into: Found, file: Record<string, string>, term: string, factor: number): void {
  const postings = Object.hasOwn(file, term) ? file[term] : undefined;
  if (postings === undefined) return;
  into.terms.push(term);
  let doc = 0;
  for (const p of postings.split(" ")) {
    const [delta = "0", weight = "1"] = p.split(".");
    doc += parseInt(delta, 36);
    into.at.set(doc, Math.max(into.at.get(doc) ?? 0, parseInt(weight, 36) * factor));
  }
}

/** Intersects postings. The weight of a section is the smallest of its terms. */
function all(found: Found[]): Postings {
  const out: Postings = new Map();
  for (const [doc, weight] of found[0]?.at ?? []) {
    const weights = found.map((f) => f.at.get(doc) ?? 0);
    if (!weights.includes(0)) out.set(doc, Math.min(weight, ...weights));
  }
  return out;
}

/** Chooses pairs that do not overlap: as many as the index has, then the most frequent ones. */
export function tile(sizes: number[]): Set<number> {
  // best[i] is the best choice among the pairs that begin before character i.
  const best: { score: number; chosen: number[] }[] = [
    { score: 0, chosen: [] },
    { score: 0, chosen: [] },
  ];
  sizes.forEach((size, i) => {
    const without = best[i + 1] ?? { score: 0, chosen: [] };
    const before = best[i] ?? { score: 0, chosen: [] };
    const score = before.score + (size > 0 ? 100 + Math.log(size) : 0);
    best.push(score > without.score ? { score, chosen: [...before.chosen, i] } : without);
  });
  return new Set(best.at(-1)?.chosen);
}

/** Sections with more of the words come first. extra breaks ties. */
function rank(docs: number, found: Found[], extra: Found[]): number[] {
  const scores = new Map<number, { words: number; score: number }>();
  const rare = (f: Found): number => Math.log(1 + docs / f.at.size);
  for (const f of found) {
    for (const [doc, weight] of f.at) {
      const s = scores.get(doc) ?? { words: 0, score: 0 };
      s.words++;
      s.score += weight * rare(f);
      scores.set(doc, s);
    }
  }
  for (const f of extra) {
    for (const [doc, weight] of f.at) {
      const s = scores.get(doc);
      if (s) s.score += weight * rare(f) * weightOf.border;
      else if (found.every((f) => f.at.size === 0)) scores.set(doc, { words: 0, score: weight * rare(f) });
    }
  }
  return [...scores]
    .sort(([a, x], [b, y]) => y.words - x.words || y.score - x.score || a - b)
    .slice(0, maxResults)
    .map(([doc]) => doc);
}

/** Returns the words that may have been meant. list begins with the most frequent word. */
export function guesses(word: string, vocabulary: string[], typing: boolean): string[] {
  // Words with digits are names or numbers, so a similar one is not a correction.
  if (word.length < 3 || /\p{Nd}/u.test(word)) return [];
  const usual = word.length < 6 ? 1 : word.length < 9 ? 2 : 3;
  for (const limit of new Set([1, usual, Math.floor(word.length / 2)])) {
    const near = vocabulary
      .map((v, i) => ({ v, i, d: distance(word, v, limit) }))
      .map(({ v, i, d }) => ({ v, i, d: Math.min(d.whole, typing && word.length > 3 ? d.start + 0.5 : Infinity) }))
      .filter(({ v, d }) => d < Infinity && (word.length > 3 || sameLetters(word, v)))
      .sort((a, b) => a.d - b.d || a.i - b.i);
    const least = near[0]?.d;
    if (least !== undefined) return near.filter((n) => n.d <= least + 0.5).slice(0, maxGuesses).map((n) => n.v);
  }
  return [];
}

const sameLetters = (a: string, b: string): boolean => [...a].sort().join("") === [...b].sort().join("");

function fileWord(prefix: string): string {
  return Array.from(prefix, (c) => (/[a-z0-9]/.test(c) ? c : `_${(c.codePointAt(0) ?? 0).toString(16)}_`)).join("");
}
