// The search field and its results: a combobox with a list of links. The focus stays in the field,
// and arrow keys select a result.

import { excerpt } from "./excerpt.js";
import { type Answer, type Doc, type Marks, Search } from "./find.js";
import { append, hasMark } from "./highlight.js";
import type { Words } from "./words.js";

/** Wait for a pause in typing before loading. */
const pause = 60;
/** Show that the search is running after this time. */
const patience = 400;
/** Number of pages that are loaded for their excerpts. */
const maxExcerpts = 5;

export interface Panel {
  input: HTMLInputElement;
  run(): void;
}

/** Builds the search in root. changed is called with each query. */
export function panel(root: HTMLElement, base: string, words: Words, changed: (query: string) => void = () => {}): Panel {
  const search = new Search(base);
  const form = document.createElement("form");
  const input = document.createElement("input");
  const status = document.createElement("p");
  const list = document.createElement("ul");
  form.setAttribute("role", "search");
  Object.assign(input, { type: "search", name: "q", placeholder: words.hint, autocomplete: "off", spellcheck: false, enterKeyHint: "search", maxLength: 200 });
  list.id = "search-results";
  list.className = "search-results";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", words.label);
  for (const [name, value] of [["role", "combobox"], ["aria-label", words.label], ["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-expanded", "false"], ["autocapitalize", "off"], ["autocorrect", "off"]] as const) {
    input.setAttribute(name, value);
  }
  status.className = "search-status";
  status.setAttribute("role", "status");
  form.append(input);
  root.append(form, status, list);

  let latest = 0;
  let timer = 0;
  let abort = new AbortController();
  let results: HTMLAnchorElement[] = [];
  let chosen = -1;
  let answered = ""; // the query that the results belong to
  let follow = false; // Enter was pressed before they came

  const say = (text: string): void => {
    if (status.textContent !== text) status.textContent = text;
  };

  const choose = (next: number): void => {
    results[chosen]?.setAttribute("aria-selected", "false");
    chosen = next;
    const a = results[chosen];
    if (a) {
      a.setAttribute("aria-selected", "true");
      a.scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", a.id);
    } else input.removeAttribute("aria-activedescendant");
  };

  const item = ([url, anchor, title, heading, text]: Doc, i: number, marks: Marks): HTMLAnchorElement => {
    const a = document.createElement("a");
    a.id = `search-result-${i}`;
    a.href = anchor ? `${url}#${encodeURIComponent(anchor)}` : url;
    a.tabIndex = -1;
    a.setAttribute("role", "option");
    a.setAttribute("aria-selected", "false");
    const strong = document.createElement("strong");
    append(strong, heading || title, marks);
    a.append(strong);
    if (heading && heading !== title) {
      const small = document.createElement("small");
      append(small, title, marks);
      a.append(" ", small);
    }
    const p = document.createElement("span");
    p.className = "search-text";
    append(p, text, marks);
    a.append(p);
    return a;
  };

  const show = ({ docs, marks }: Answer): void => {
    results = docs.map((d, i) => item(d, i, marks));
    list.replaceChildren(
      ...results.map((a) => {
        const li = document.createElement("li");
        li.setAttribute("role", "none");
        li.append(a);
        return li;
      }),
    );
    list.hidden = results.length === 0;
    list.scrollTop = 0;
    input.setAttribute("aria-expanded", String(results.length > 0));
    choose(-1);
  };

  /** Shows excerpts for results whose words are not in the index's beginning of the section. */
  const improve = async ({ docs, marks }: Answer, signal: AbortSignal): Promise<void> => {
    let left = maxExcerpts;
    for (const [i, doc] of docs.entries()) {
      const [, , title, heading, text] = doc;
      const p = results[i]?.querySelector<HTMLElement>(".search-text");
      if (!p || hasMark(text, marks) || hasMark(heading || title, marks)) continue;
      if (left-- === 0) return;
      const better = await excerpt(doc, marks, signal);
      if (signal.aborted) return;
      if (!better) continue;
      p.replaceChildren();
      append(p, better, marks);
    }
  };

  const run = async (): Promise<void> => {
    const query = input.value.trim();
    const mine = ++latest;
    clearTimeout(timer);
    abort.abort();
    abort = new AbortController();
    changed(query);
    const slow = window.setTimeout(() => mine === latest && query && say(words.searching), patience);
    try {
      // A space after a word means that it is complete.
      const answer = await search.find(input.value);
      if (mine !== latest) return;
      answered = query;
      show(answer);
      const n = answer.docs.length;
      if (!query) say("");
      else say(n === 0 ? words.none : n === 1 ? words.one : (n < 12 ? words.some : words.best).replace("{n}", String(n)));
      if (follow) results[0]?.click();
      follow = false;
      improve(answer, abort.signal).catch(() => {}); // what is shown is good enough
    } catch {
      if (mine === latest) say(navigator.onLine ? words.failed : words.offline);
    } finally {
      clearTimeout(slow);
    }
  };

  input.addEventListener("input", (e) => {
    follow = false;
    // Text of an input method that is still composing is not a query.
    if (e instanceof InputEvent && e.isComposing) return;
    clearTimeout(timer);
    timer = window.setTimeout(() => void run(), pause);
  });
  input.addEventListener("compositionend", () => void run());
  form.addEventListener("submit", (e) => e.preventDefault());
  input.addEventListener("keydown", (e) => {
    if (e.isComposing || e.altKey) return;
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      if (results.length === 0) return;
      // Before the first result, the selection returns to the field.
      const places = results.length + 1;
      choose(((chosen + 1 + (e.key === "ArrowDown" ? 1 : -1) + places) % places) - 1);
    } else if (e.key === "Enter") {
      e.preventDefault();
      if (answered !== input.value.trim()) {
        follow = true;
        void run();
        return;
      }
      const a = results[Math.max(chosen, 0)];
      a?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, ctrlKey: e.ctrlKey, metaKey: e.metaKey, shiftKey: e.shiftKey }));
    } else if (e.key === "Escape" && input.value && !root.closest("dialog")) {
      e.preventDefault();
      input.value = "";
      void run();
    }
  });
  addEventListener("online", () => input.value.trim() && void run());
  return { input, run: () => void run() };
}
