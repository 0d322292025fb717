// Counterpart of site/internal/search/terms.go: queries must be split into the same terms as the
// text.

const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;
const letter = /[\p{L}\p{Nd}]/u;
const maxTerm = 32;

/** Splits text into terms: stems of words, and pairs of characters in scripts without spaces. */
export function terms(text: string): string[] {
  const out: string[] = [];
  let word = "";
  let length = 0;
  let run: string[] = [];
  const flushWord = (): void => {
    if (length > 0 && length <= maxTerm) out.push(stem(word));
    word = "";
    length = 0;
  };
  const flushRun = (): void => {
    for (let i = 0; i < run.length; i++) out.push((run[i] ?? "") + (run[i + 1] ?? ""));
    run = [];
  };
  for (const c of text) {
    if (unspaced.test(c)) {
      flushWord();
      run.push(c);
    } else if (letter.test(c)) {
      flushRun();
      word += Array.from(c.toLowerCase())[0] ?? ""; // one character for one, as in Go
      length++;
    } else {
      flushWord();
      flushRun();
    }
  }
  flushWord();
  flushRun();
  return out;
}

const irregular = /^(?:alias|bias|canvas|news|embed|exceed|proceed|succeed)?$/;
const short = /(?:^[aeiouy][^aeiouy]|[^aeiouy][aeiouy][^aeiouywx])$/;

/** Returns where the part after a word's first vowel and consonant begins. */
function region(w: string): number {
  const at = w.search(/[aeiouy][^aeiouy]/);
  return at < 0 ? w.length : at + 2;
}

/** Removes the endings of an English word, by the rules of site/internal/search/stem.go. */
export function stem(w: string): string {
  if (!/^[a-z]+$/.test(w) || irregular.test(w)) return w;
  if (w.length > 4 && /ie[sd]$/.test(w)) w = w.slice(0, -2);
  else if (w.length === 4 && w.endsWith("ied")) w = w.slice(0, -1);
  else if (w.length > 3 && w.endsWith("s") && !/(?:ss|us|is)$/.test(w)) w = w.slice(0, -1);
  if (irregular.test(w)) return w;
  if (w.endsWith("eed")) {
    if (region(w) <= w.length - 3) w = w.slice(0, -1);
  } else {
    const rest = w.replace(/(?:ing|ed)$/, "");
    if (rest !== w && rest.length > 1 && /[aeiouy]/.test(rest)) {
      if (/(?:at|bl|iz)$/.test(rest) || (region(rest) === rest.length && short.test(rest))) w = `${rest}e`;
      else if (rest.length > 3 && /([bdfgmnprt])\1$/.test(rest)) w = rest.slice(0, -1);
      else w = rest;
    }
  }
  if (w.length > 2 && /[^aeiouy]y$/.test(w)) w = `${w.slice(0, -1)}i`;
  const first = region(w);
  const second = first + region(w.slice(first));
  if (w.endsWith("e") && (second < w.length || (first < w.length && !short.test(w.slice(0, -1))))) return w.slice(0, -1);
  if (w.endsWith("ll") && second < w.length) return w.slice(0, -1);
  return w;
}

/**
 * Edit distance of a and b, where swapping two neighbours counts as one, and of a and the closest
 * prefix of b. Infinity if it is more than limit.
 */
export function distance(a: string, b: string, limit: number): { whole: number; start: number } {
  const far = { whole: Infinity, start: Infinity };
  if (a.length - b.length > limit) return far;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let d = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) d = Math.min(d, (before[j - 2] ?? 0) + 1);
      next.push(d);
      least = Math.min(least, d);
    }
    if (least > limit) return far;
    before = row;
    row = next;
  }
  const within = (d: number): number => (d <= limit ? d : Infinity);
  return { whole: within(row[b.length] ?? Infinity), start: within(Math.min(...row)) };
}
