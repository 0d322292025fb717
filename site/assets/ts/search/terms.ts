// The browser's half of internal/search/terms.go: a query must be cut into the same terms as the text was.

const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;
const letter = /[\p{L}\p{Nd}]/u;
const maxTerm = 32;

/** Cuts text into terms: stems of words, and pairs of characters in scripts without spaces. */
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

/** Takes the endings off an English word that its other forms may have. */
export function stem(w: string): string {
  if (!/^[a-z]+$/.test(w)) return w;
  if (w.length > 4 && /ie[sd]$/.test(w)) w = w.slice(0, -3) + "y";
  else if (w.length > 3 && /s$/.test(w) && !/(?:ss|us|is)$/.test(w)) {
    w = w.slice(0, -1);
    if (/(?:xe|che|she|sse)$/.test(w)) w = w.slice(0, -1);
  }
  for (const end of ["ing", "ed"]) {
    const rest = w.slice(0, -end.length);
    if (w.endsWith(end) && rest.length > 2 && /[aeiouy]/.test(rest)) {
      w = rest;
      break;
    }
  }
  if (w.length > 4 && w.endsWith("e")) w = w.slice(0, -1);
  const n = w.length;
  if (n > 3 && w[n - 1] === w[n - 2] && !/[aeiou]$/.test(w)) w = w.slice(0, -1);
  return w;
}

/**
 * How many letters must change to make b of a, two neighbours swapped counting as one; and to make any beginning of b.
 * What is more than limit is Infinity.
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
