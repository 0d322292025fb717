// The reader's progress, stored in this browser and shared by all languages: done lessons and labs
// by path, answers to quizzes, and where the reader stopped.
//
// HTML that sitegen writes:
//
//   <body data-base="/" data-home="/zh/" data-course="" data-page="containers/why/" data-done="Done" data-api="/api/v1">
//        data-page only on lessons and labs; data-api only if labd serves the site
//   <a data-lab="first-container" href="/zh/containers/why/">   a link to a lesson; it gets a tick
//   <input type="checkbox" data-done-box>   the reader's own word for it; the end of the text is where it stands
//   <p data-progress data-text="%d of %d"><progress></progress><span></span></p>   counts the lessons linked within [data-scope]
//   <p data-resume="Continue:"></p>         stays empty for a new reader

import type { Place } from "./overview.js";

/** The stored data. 0 means that the reader removed the tick, so that no script sets it again. */
interface State {
  done: Record<string, number>;
  quiz: Record<string, number>;
  last: Place[];
  labs: boolean; // a lab was begun in this browser, so labd knows this learner
}

// Other versions of the format use other keys.
const version = 1;
const maxEntries = 2_000;
const maxPlaces = 20;
const maxLength = 300_000; // characters that are read back
const maxText = 200;
const apiTimeout = 4_000;
/** A lesson that was open for less was not read. */
const minReading = 10_000;

const { base = "/", home = "/", page = "", course = "", api = "", done: doneLabel = "" } = document.body.dataset;
const key = `labd.progress.${version}:${base}`;

/** Without storage, as in some private windows, the progress lives as long as the page. */
let memory = "";

function numbers(from: unknown): Record<string, number> {
  const out: Record<string, number> = {};
  if (typeof from !== "object" || from === null) return out;
  for (const [k, v] of Object.entries(from).slice(-maxEntries)) {
    if (typeof v === "number" && k.length <= maxText && k !== "__proto__") out[k] = v;
  }
  return out;
}

function read(): State {
  let raw = memory;
  try {
    raw = localStorage.getItem(key) ?? memory;
  } catch {
    // Storage is blocked: use the page's memory.
  }
  let s: Partial<Record<keyof State, unknown>> = {};
  try {
    s = (raw.length <= maxLength && JSON.parse(raw)) || {};
  } catch {
    // Not valid data: start empty.
  }
  const text = (v: unknown): v is string => typeof v === "string" && v.length <= maxText;
  const last = (Array.isArray(s.last) ? (s.last as Partial<Place>[]) : []).filter(
    (p): p is Place => text(p?.page) && text(p.course) && text(p.title) && text(p.section) && text(p.heading) && /^[^/?#][^?#]*\/$/.test(p.page),
  );
  return { done: numbers(s.done), quiz: numbers(s.quiz), last: last.slice(0, maxPlaces), labs: s.labs === true };
}

function change(how: (s: State) => void): void {
  const s = read();
  how(s);
  s.done = numbers(s.done);
  s.quiz = numbers(s.quiz);
  memory = JSON.stringify(s);
  try {
    localStorage.setItem(key, memory);
  } catch {
    // Storage is full or blocked.
  }
}

const now = (): number => Math.floor(Date.now() / 1000);

/** Marks pages as done, unless the reader has removed their tick. */
function mark(...pages: string[]): void {
  const { done } = read();
  const fresh = pages.filter((p) => !(p in done));
  if (fresh.length === 0) return;
  change((s) => fresh.forEach((p) => (s.done[p] = now())));
  show();
}

const isDone = (s: State, id: string, lab?: string): boolean => (s.done[id] ?? (lab ? s.done[`labs/${lab}/`] : 0) ?? 0) > 0;

/** The path of a page below its language, which is the key of its progress. */
const idOf = (a: HTMLAnchorElement): string => (a.pathname.startsWith(home) ? a.pathname.slice(home.length) : "");

const lessonLinks = ".lesson-list a, .lesson-links a";

/** Updates the counts, on pages that show them. */
let count: (() => void) | undefined;

function show(): void {
  const s = read();
  for (const a of document.querySelectorAll<HTMLAnchorElement>(`[data-nav] li li a, ${lessonLinks}, .lab-card a`)) {
    const yes = isDone(s, idOf(a), a.dataset["lab"]);
    if (a.classList.toggle("is-done", yes) === !!a.querySelector(".done-word")) continue;
    if (yes) {
      const word = document.createElement("span");
      word.className = "done-word";
      word.textContent = ` (${doneLabel})`;
      a.append(word);
    } else a.querySelector(".done-word")?.remove();
  }
  const box = document.querySelector<HTMLInputElement>("[data-done-box]");
  if (box) box.checked = isDone(s, page, box.dataset["lab"]);
  count?.();
}

/**
 * A lesson is done when its end was visible after a minimum reading time, or when the reader ticks
 * it.
 */
function finish(): void {
  const box = document.querySelector<HTMLInputElement>("[data-done-box]");
  if (!box) return;
  box.disabled = false;
  box.addEventListener("change", () => {
    change((s) => {
      delete s.done[page];
      s.done[page] = box.checked ? now() : 0;
    });
    show();
  });
  const opened = Date.now();
  let timer = 0;
  const end = new IntersectionObserver((entries) => {
    clearTimeout(timer);
    if (!entries.at(-1)?.isIntersecting) return;
    timer = window.setTimeout(() => {
      if (document.visibilityState === "visible") mark(page);
    }, Math.max(1_000, minReading - (Date.now() - opened)));
  });
  end.observe(box);
}

/** Stores where the reader stopped: the heading that the table of contents highlights. */
function keepPlace(): void {
  if (!document.body.classList.contains("kind-lesson")) return;
  const keep = (): void => {
    const at = document.querySelector<HTMLAnchorElement>("[data-toc] a[aria-current]");
    const started = scrollY > 200 && at;
    const short = (t: string): string => t.slice(0, maxText);
    const place: Place = {
      page,
      course,
      title: short(document.querySelector("h1")?.textContent ?? ""),
      section: short(started ? decodeURIComponent(at.hash.slice(1)) : ""),
      heading: short(started ? (at.textContent ?? "") : ""),
    };
    change((s) => (s.last = [place, ...s.last.filter((p) => p.course !== course)].slice(0, maxPlaces)));
  };
  keep();
  document.addEventListener("visibilitychange", keep);
  addEventListener("pagehide", keep);
}

const quizKey = (id: string): string => `${page || location.pathname.slice(home.length)}#${id}`;

/** Answers to this page's quizzes by quiz id: 1 is solved, 0 is only tried. */
export const answered = (id: string): number | undefined => read().quiz[quizKey(id)];
export const answer = (id: string, right: boolean): void => change((s) => (s.quiz[quizKey(id)] = right ? 1 : 0));

/**
 * Asks labd which labs are done. Not for readers who never started a lab: the request would set a
 * cookie.
 */
async function askLabd(): Promise<void> {
  if (!api) return;
  try {
    if (Object.keys(sessionStorage).some((k) => k.startsWith("labd.live.")) && !read().labs) change((s) => (s.labs = true));
    if (!read().labs) return;
    const answer = await fetch(`${api}/progress`, { signal: AbortSignal.timeout(apiTimeout), cache: "no-store" });
    if (!answer.ok) return;
    const { labs } = (await answer.json()) as { labs?: Record<string, { done?: boolean }> | null };
    mark(...Object.entries(labs ?? {}).flatMap(([id, lab]) => (lab.done ? [`labs/${id}/`] : [])));
  } catch {
    // labd does not answer: show only what is stored here.
  }
}

export function progress(): void {
  show();
  finish();
  keepPlace();
  void askLabd();
  addEventListener("storage", (e) => e.key === key && show());
  // A page restored from the back/forward cache has missed changes.
  addEventListener("pageshow", (e) => e.persisted && show());
  // Features of few pages are separate scripts. Offline, a page works without them.
  const has = (selector: string): boolean => document.querySelector(selector) !== null;
  const absent = (): void => {};
  if (has("[data-progress], [data-resume]")) {
    import("./overview.js").then((o) => (count = o.overview({ home, course, lessonLinks, idOf, read })), absent);
  }
  if (has("main[data-lab]")) import("./practice.js").then((p) => p.followLab(() => mark(page)), absent);
}
