// The script of every page: theme switch, copy buttons, the menu on small screens, and the table of
// contents that follows the scroll position. The page works without it.

import { offline } from "./offline.js";
import { answer, answered, progress } from "./progress.js";
import { finder } from "./search/open.js";

const root = document.documentElement;
const absent = (): void => {}; // no network: the page is read without

function themeSwitch(): void {
  const button = document.querySelector<HTMLButtonElement>("[data-theme-toggle]");
  if (!button) return;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = (): boolean => (root.dataset["theme"] ?? (system.matches ? "dark" : "light")) === "dark";
  const label = (): void => {
    const text = button.dataset[dark() ? "light" : "dark"] ?? "";
    button.setAttribute("aria-label", text);
    button.title = text;
  };
  button.addEventListener("click", () => {
    const theme = dark() ? "light" : "dark";
    root.dataset["theme"] = theme;
    try {
      localStorage.setItem("labd-theme", theme);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
    label();
    window.dispatchEvent(new CustomEvent("labd:theme", { detail: theme }));
  });
  system.addEventListener("change", label);
  label();
  button.hidden = false;
}

/**
 * Returns the text to copy: the commands of a console session, otherwise the whole block. Without a
 * newline at the end, because a shell runs a pasted line as soon as it reads one.
 */
function copyText(code: Element): string {
  const commands = code.querySelectorAll(".command");
  if (commands.length > 0) return Array.from(commands, (c) => c.textContent ?? "").join("\n");
  return (code.textContent ?? "").replace(/\n+$/, "");
}

/**
 * The fallback for pages over plain http, which have no clipboard API. Loaded before the first
 * click.
 */
let copyOld: ((text: string) => void) | undefined;

async function copy(text: string): Promise<void> {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else if (copyOld) copyOld(text);
  else throw new Error("copying is not allowed here");
}

function copyButtons(): void {
  const copied = document.body.dataset["copied"] ?? "Copied";
  if (!navigator.clipboard) import("./clipboard.js").then((c) => (copyOld = c.copy), absent);
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-copy]")) {
    const code = button.closest(".code")?.querySelector("code");
    if (!code) continue;
    button.hidden = false;
    const label = button.textContent ?? "";
    let reset = 0;
    button.addEventListener("click", async () => {
      try {
        await copy(copyText(code));
      } catch {
        getSelection()?.selectAllChildren(code);
        return;
      }
      clearTimeout(reset);
      button.textContent = copied;
      button.classList.add("done");
      reset = window.setTimeout(() => {
        button.textContent = label;
        button.classList.remove("done");
      }, 1600);
    });
  }
}

function menu(): void {
  const button = document.querySelector<HTMLAnchorElement>("[data-menu]");
  const nav = document.querySelector<HTMLElement>("[data-nav]");
  if (!button || !nav) return;
  button.setAttribute("role", "button");
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", nav.id);
  const set = (open: boolean): void => {
    nav.classList.toggle("is-open", open);
    root.classList.toggle("menu-open", open);
    button.setAttribute("aria-expanded", String(open));
    if (open) nav.querySelector<HTMLElement>("a")?.focus();
    else button.focus();
  };
  const isOpen = (): boolean => nav.classList.contains("is-open");
  button.addEventListener("click", (e) => {
    e.preventDefault();
    set(!isOpen());
  });
  button.addEventListener("keydown", (e) => {
    if (e.key === " ") {
      e.preventDefault();
      set(!isOpen());
    }
  });
  nav.querySelector("[data-menu-close]")?.addEventListener("click", (e) => {
    e.preventDefault();
    set(false);
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape" && isOpen()) set(false);
  });
  document.addEventListener("click", (e) => {
    const target = e.target as Node;
    if (isOpen() && !nav.contains(target) && !button.contains(target)) set(false);
  });
}

function followContents(): void {
  const toc = document.querySelector("[data-toc]");
  if (!toc) return;
  const links = new Map<string, HTMLAnchorElement>();
  for (const a of toc.querySelectorAll<HTMLAnchorElement>("a")) links.set(decodeURIComponent(a.hash.slice(1)), a);
  const headings = [...links.keys()].map((id) => document.getElementById(id)).filter((h): h is HTMLElement => h !== null);
  if (headings.length === 0) return;
  let current: HTMLAnchorElement | undefined;
  const update = (): void => {
    let at = headings[0];
    for (const h of headings) if (h.getBoundingClientRect().top < 140) at = h;
    if (innerHeight + scrollY >= document.documentElement.scrollHeight - 4) at = headings.at(-1);
    const next = at && links.get(at.id);
    if (next === current) return;
    current?.removeAttribute("aria-current");
    next?.setAttribute("aria-current", "true");
    current = next;
  };
  let queued = false;
  addEventListener(
    "scroll",
    () => {
      if (queued) return;
      queued = true;
      requestAnimationFrame(() => {
        queued = false;
        update();
      });
    },
    { passive: true },
  );
  update();
}

/** Scrolls a long sidebar to the current lesson. */
function showCurrent(): void {
  const nav = document.querySelector<HTMLElement>("[data-nav]");
  const here = nav?.querySelector<HTMLElement>('[aria-current="page"]');
  if (nav && here && here.offsetTop > nav.clientHeight - 80) nav.scrollTop = here.offsetTop - nav.clientHeight / 2;
}

/**
 * Loads the lab pane in a lesson when its card is near the viewport, or at once if the lab was
 * running a moment ago. Readers who never get there never load the terminal.
 */
function labBesideLesson(): void {
  const card = document.querySelector<HTMLElement>("aside[data-lab-js]");
  if (!card) return;
  let loaded = false;
  const load = (): void => {
    if (loaded) return;
    loaded = true;
    const { labCss, labCssIntegrity, labJs, labJsIntegrity } = card.dataset;
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = labCss ?? "";
    style.integrity = labCssIntegrity ?? "";
    // The script measures elements, so the style sheet must be loaded first.
    style.addEventListener("load", () => {
      const script = document.createElement("script");
      script.type = "module";
      script.src = labJs ?? "";
      script.integrity = labJsIntegrity ?? "";
      document.head.append(script);
    });
    document.head.append(style);
  };
  let running = false;
  try {
    running = sessionStorage.getItem(`labd.live.${card.dataset["lab"]}`) === "yes";
  } catch {
    // Storage is blocked, so there was no lab.
  }
  if (running) {
    load();
    return;
  }
  const near = new IntersectionObserver(
    (entries) => {
      if (!entries.some((e) => e.isIntersecting)) return;
      near.disconnect();
      load();
    },
    { rootMargin: "600px" },
  );
  near.observe(card);
}

themeSwitch();
copyButtons();
menu();
followContents();
showCurrent();
labBesideLesson();
finder();
progress();
offline();

// Features of few pages are separate scripts.
const has = (selector: string): boolean => document.querySelector(selector) !== null;
if (has("fieldset.quiz")) import("./quiz.js").then((q) => q.quizzes({ answer, answered }), absent);
if (has("[data-tabs]")) import("./tabs.js").then((t) => t.tabs(), absent);
if (has('.prose a[href*="/glossary/#"]')) import("./terms.js").then((t) => t.terms(), absent);

const paper = document.querySelector<HTMLButtonElement>("[data-print]");
paper?.addEventListener("click", () => print());
if (paper) paper.hidden = false;
