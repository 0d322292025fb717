// The search page: answers while one types.

import { type Doc, han, Search } from "./search/find.js";
import { stem, terms } from "./search/terms.js";

/** Appends text with the words of the query marked. */
function highlight(into: HTMLElement, text: string, query: string): void {
  const stems = new Set(terms(query).filter((t) => !han.test(t)));
  const runs = query.match(/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu) ?? [];
  const pairs = new Set(runs.flatMap((r) => (r.length < 2 ? [r] : terms(r))));
  const chars = Array.from(text);
  const marked = new Array<boolean>(chars.length).fill(false);
  for (let i = 0; i < chars.length; i++) {
    for (const p of pairs) {
      const length = Array.from(p).length;
      if (chars.slice(i, i + length).join("") === p) marked.fill(true, i, i + length);
    }
  }
  for (let i = 0; i < chars.length; ) {
    let end = i;
    while (end < chars.length && /[\p{L}\p{Nd}]/u.test(chars[end] ?? "") && !han.test(chars[end] ?? "")) end++;
    if (end > i) {
      const word = stem(chars.slice(i, end).join("").toLowerCase());
      if ([...stems].some((s) => word === s || (s.length > 1 && word.startsWith(s)))) marked.fill(true, i, end);
    }
    i = Math.max(end, i + 1);
  }
  for (let i = 0; i < chars.length; ) {
    let end = i;
    while (end < chars.length && marked[end] === marked[i]) end++;
    const part = chars.slice(i, end).join("");
    if (marked[i]) {
      const mark = document.createElement("mark");
      mark.textContent = part;
      into.append(mark);
    } else into.append(part);
    i = end;
  }
}

function boot(): void {
  const form = document.querySelector<HTMLFormElement>("[data-search]");
  const input = form?.querySelector<HTMLInputElement>("input");
  const list = document.querySelector<HTMLElement>("[data-search-results]");
  const status = document.querySelector<HTMLElement>("[data-search-status]");
  if (!form || !input || !list || !status) return;
  const search = new Search(form.dataset["search"] ?? "");
  let latest = 0;

  const show = (docs: Doc[], query: string): void => {
    list.replaceChildren(
      ...docs.map(([url, anchor, title, heading, text]) => {
        const item = document.createElement("li");
        const a = document.createElement("a");
        a.href = anchor ? `${url}#${encodeURIComponent(anchor)}` : url;
        const strong = document.createElement("strong");
        highlight(strong, heading || title, query);
        a.append(strong);
        if (heading && heading !== title) {
          const small = document.createElement("small");
          small.textContent = title;
          a.append(small);
        }
        const p = document.createElement("p");
        highlight(p, text, query);
        a.append(p);
        item.append(a);
        return item;
      }),
    );
  };

  const run = async (): Promise<void> => {
    const query = input.value;
    const mine = ++latest;
    const address = new URL(location.href);
    if (query.trim()) address.searchParams.set("q", query.trim());
    else address.searchParams.delete("q");
    history.replaceState(null, "", address);
    if (!query.trim()) {
      show([], "");
      status.textContent = "";
      return;
    }
    try {
      const docs = await search.find(query);
      if (mine !== latest) return;
      show(docs, query);
      status.textContent = docs.length === 0 ? (status.dataset["none"] ?? "") : (status.dataset["some"] ?? "").replace("%d", String(docs.length));
    } catch {
      if (mine === latest) status.textContent = status.dataset["failed"] ?? "";
    }
  };

  input.addEventListener("input", () => void run());
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    list.querySelector<HTMLAnchorElement>("a")?.click();
  });
  form.parentElement?.addEventListener("keydown", (e) => {
    if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
    const links = [...list.querySelectorAll<HTMLAnchorElement>("a")];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    const next = at + (e.key === "ArrowDown" ? 1 : -1);
    e.preventDefault();
    if (next < 0) input.focus();
    else links[Math.min(next, links.length - 1)]?.focus();
  });
  form.hidden = false;
  input.value = new URL(location.href).searchParams.get("q") ?? "";
  input.focus();
  void run();
}

boot();
