// Finds sections in the index that site/search.go describes. Only the files that a query needs are fetched.

import { near, terms } from "./terms.js";

interface Index {
  docs: number;
  perFile: number;
  prefixes: string[];
  han: number;
}

export type Doc = [url: string, anchor: string, title: string, heading: string, text: string];

const maxResults = 12;
const maxPrefix = 6;
export const han = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;

export class Search {
  readonly #base: string;
  readonly #files = new Map<string, Promise<unknown>>();

  constructor(base: string) {
    this.#base = base;
  }

  #load<T>(name: string): Promise<T> {
    let file = this.#files.get(name);
    if (!file) {
      file = fetch(`${this.#base}${name}.json`).then((r) => {
        if (!r.ok) throw new Error(`${name}: ${r.status}`);
        return r.json() as Promise<unknown>;
      });
      // What failed once may work later.
      file.catch(() => this.#files.delete(name));
      this.#files.set(name, file);
    }
    return file as Promise<T>;
  }

  /** Where a term is, with its weight there. A term that nothing has is taken for a prefix, then for a typing mistake. */
  async #lookup(index: Index, term: string, last: boolean): Promise<Map<number, number>> {
    const out = new Map<number, number>();
    const add = (postings: string, factor: number): void => {
      let doc = 0;
      for (const p of postings.split(" ")) {
        const [delta = "0", weight = "1"] = p.split(".");
        doc += parseInt(delta, 36);
        out.set(doc, Math.max(out.get(doc) ?? 0, parseInt(weight, 36) * factor));
      }
    };
    const isHan = han.test(term);
    let name = "";
    if (isHan) {
      if (index.han > 0) name = `h-${(term.codePointAt(0) ?? 0) % index.han}`;
    } else {
      const letters = Array.from(term);
      for (let n = Math.min(maxPrefix, letters.length); n > 0 && !name; n--) {
        const prefix = letters.slice(0, n).join("");
        if (index.prefixes.includes(prefix)) name = `t-${fileWord(prefix)}`;
      }
    }
    if (!name) return out;
    let file: Record<string, string>;
    try {
      file = await this.#load<Record<string, string>>(name);
    } catch {
      return out; // a prefix whose terms are all in longer ones has no file
    }
    const exact = Object.hasOwn(file, term) ? file[term] : undefined;
    if (exact !== undefined) add(exact, 1);
    const single = isHan && Array.from(term).length === 1;
    if (single || (last && !isHan && term.length > 1)) {
      for (const [t, postings] of Object.entries(file)) if (t !== term && t.startsWith(term)) add(postings, 0.5);
    }
    if (out.size === 0 && !isHan && term.length > 3) {
      const limit = term.length > 7 ? 2 : 1;
      for (const [t, postings] of Object.entries(file)) if (near(term, t, limit)) add(postings, 0.3);
    }
    return out;
  }

  /** The best sections for a query, best first. */
  async find(query: string): Promise<Doc[]> {
    const index = await this.#load<Index>("index");
    const wanted = [...new Set(terms(query))];
    if (wanted.length === 0) return [];
    const typing = !/\s$/.test(query);
    const found = await Promise.all(wanted.map((t, i) => this.#lookup(index, t, typing && i === wanted.length - 1)));
    const scores = new Map<number, { terms: number; score: number }>();
    for (const postings of found) {
      if (postings.size === 0) continue;
      const rare = Math.log(1 + index.docs / postings.size);
      for (const [doc, weight] of postings) {
        const s = scores.get(doc) ?? { terms: 0, score: 0 };
        scores.set(doc, { terms: s.terms + 1, score: s.score + weight * rare });
      }
    }
    // A section with more of the words always comes before one with fewer.
    const best = [...scores].sort(([a, x], [b, y]) => y.terms - x.terms || y.score - x.score || a - b).slice(0, maxResults);
    return Promise.all(
      best.map(async ([doc]) => {
        const file = await this.#load<Doc[]>(`d-${Math.floor(doc / index.perFile)}`);
        const row = file[doc % index.perFile];
        if (!row) throw new Error(`section ${doc} is missing`);
        return row;
      }),
    );
  }
}

function fileWord(prefix: string): string {
  return Array.from(prefix, (c) => (/[a-z0-9]/.test(c) ? c : `_${(c.codePointAt(0) ?? 0).toString(16)}_`)).join("");
}
