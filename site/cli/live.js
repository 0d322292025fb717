// Keeps an open page up to date while its course is being written. The package comment explains what the server tells.

const timing = performance.getEntriesByType("navigation")[0]?.serverTiming ?? [];
const mine = timing.find((t) => t.name === "build")?.description;

/* The place where the reader is. */

const placeKey = "sitegen.place";
const scrollers = () => document.querySelectorAll("pre, table, nav, [class*=scroll], [class*=wrap]");
const switches = () => document.querySelectorAll("details, [data-tabs] > input");
const headings = () => [...document.querySelectorAll("h1, h2[id], h3[id], h4[id], .step[id]")];

/** What a reader has scrolled, opened and chosen, so that it can be found again in a page that has changed a little. */
function leavePlace() {
  const above = headings().filter((h) => h.getBoundingClientRect().top < innerHeight / 2).at(-1);
  const place = {
    path: location.pathname,
    x: scrollX,
    y: scrollY,
    heading: above?.id,
    offset: above?.getBoundingClientRect().top,
    moved: [...scrollers()].map((e, i) => [i, e.scrollLeft, e.scrollTop]).filter(([, left, top]) => left || top),
    set: [...switches()].map((e) => e.open ?? e.checked),
  };
  sessionStorage.setItem(placeKey, JSON.stringify(place));
  history.scrollRestoration = "manual";
}

function findPlace() {
  const place = JSON.parse(sessionStorage.getItem(placeKey) ?? "null");
  sessionStorage.removeItem(placeKey);
  if (place?.path !== location.pathname) {
    history.scrollRestoration = "auto";
    return;
  }
  const all = [...switches()];
  if (all.length === place.set.length) all.forEach((e, i) => (e[e.localName === "details" ? "open" : "checked"] = place.set[i]));
  const boxes = scrollers();
  for (const [i, left, top] of place.moved) boxes[i]?.scrollTo({ left, top, behavior: "instant" });
  const go = () => {
    scrollTo({ left: place.x, top: place.y, behavior: "instant" });
    // What has come or gone further up does not move what is being read.
    const heading = place.heading && document.getElementById(place.heading);
    if (heading) scrollBy({ top: heading.getBoundingClientRect().top - place.offset, behavior: "instant" });
  };
  go();
  // The browser, too, restores the place when all is loaded, unless it is told not to.
  const settled = () => {
    go();
    setTimeout(() => (history.scrollRestoration = "auto"));
  };
  if (document.readyState === "complete") settled();
  else addEventListener("load", settled, { once: true });
}

/** Loads the page anew, if there is one: a server that can't build it leaves what is here. Says whether it does. */
async function reload() {
  const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
  if (answer.status >= 500) return false;
  leavePlace();
  location.reload();
  return true;
}

/* Style sheets. */

const stem = (address) => new URL(address, location.href).pathname.replace(/-[A-Z0-9]{8}\.css$/, "");

/** Exchanges the style sheets that have changed. The old one stays until the new one is there. */
function swapStyles(styles) {
  for (const link of document.querySelectorAll("link[rel=stylesheet]:not([data-leaving])")) {
    const next = styles.find((s) => stem(s) === stem(link.href));
    if (!next || new URL(next, location.href).href === link.href) continue;
    const fresh = document.createElement("link");
    fresh.rel = "stylesheet";
    fresh.href = next;
    link.dataset.leaving = "";
    fresh.addEventListener("load", () => link.remove());
    fresh.addEventListener("error", () => {
      fresh.remove();
      delete link.dataset.leaving;
    });
    link.after(fresh);
  }
}

/* Mistakes. */

const dismissedKey = "sitegen.dismissed";
const sheet = new CSSStyleSheet();
sheet.replaceSync(`
  :host { all: initial; position: fixed; inset: auto 0 0; z-index: 2147483647; width: auto; margin: 0; border: 0; padding: 0; background: none; font: 15px/1.55 system-ui, sans-serif; }
  * { box-sizing: border-box; }
  .panel { max-height: min(70vh, 44rem); overflow: auto; overscroll-behavior: contain; padding: 1rem 1.5rem 1.5rem; border-top: 3px solid #ff8b80; background: #1b1113; color: #ffdcd6; box-shadow: 0 -12px 40px rgb(0 0 0 / 35%); }
  header { display: flex; align-items: center; gap: 1rem; }
  h2 { flex: 1; margin: 0; color: #fff; font-size: 1.1rem; }
  button { min-height: 2.25rem; padding: 0 0.9rem; border: 1px solid #8a5a54; border-radius: 8px; background: #33201f; color: #ffdcd6; font: inherit; cursor: pointer; }
  button:hover { background: #4a2d2b; }
  :focus-visible { outline: 2px solid #ffb4ab; outline-offset: 2px; }
  ol { margin: 0; padding: 0; list-style: none; }
  li { margin-top: 1rem; }
  .where { color: #ffb4ab; font: 0.875rem ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
  .what { margin: 0.15rem 0 0.35rem; color: #fff; white-space: pre-wrap; overflow-wrap: anywhere; }
  pre { margin: 0; padding: 0.5rem 0.75rem; overflow-x: auto; border-radius: 6px; background: #2a1a1c; font: 0.875rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
  .number { color: #b98d87; }
  .caret { color: #ff8b80; }
  p { margin: 1rem 0 0; color: #e6b3ab; font-size: 0.875rem; }
  .pill { position: fixed; right: 1rem; bottom: 1rem; border-color: #ff8b80; background: #1b1113; }
  @media (forced-colors: active) { .panel, .pill { border: 2px solid; } }
  @media print { :host { display: none; } }
`);

const box = document.createElement("div");
const inside = box.attachShadow({ mode: "open" });
inside.adoptedStyleSheets = [sheet];
let mistakes = [];

const make = (name, className, text) => {
  const e = document.createElement(name);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
};
const said = () => (mistakes.length === 1 ? "1 mistake" : `${mistakes.length} mistakes`);

function item({ file, line, col, text, msg }) {
  const li = make("li");
  if (file) li.append(make("div", "where", [file, line || "", col || ""].filter(Boolean).join(":")));
  li.append(make("div", "what", msg));
  if (text && line) {
    const pre = make("pre");
    const number = `${line} | `;
    pre.append(make("span", "number", number), text);
    // A tab before the place is as wide below as above.
    const indent = " ".repeat(number.length) + Array.from(text).slice(0, Math.max(col - 1, 0)).join("").replace(/[^\t]/g, (c) => (/[\u1100-\uffef]/.test(c) ? "\u3000" : " "));
    if (col) pre.append("\n", make("span", "caret", `${indent}^`));
    li.append(pre);
  }
  return li;
}

function showMistakes() {
  const panel = make("section", "panel");
  panel.setAttribute("role", "alert");
  panel.setAttribute("aria-label", said());
  const head = make("header");
  const dismiss = make("button", "", "Dismiss (Esc)");
  dismiss.type = "button";
  dismiss.addEventListener("click", hideMistakes);
  head.append(make("h2", "", said()), dismiss);
  const list = make("ol");
  list.append(...mistakes.map(item));
  panel.append(head, list, make("p", "", "This goes away by itself when the files are mended."));
  panel.tabIndex = -1;
  put(panel);
}

function hideMistakes() {
  sessionStorage.setItem(dismissedKey, JSON.stringify(mistakes));
  const pill = make("button", "pill", said());
  pill.type = "button";
  pill.addEventListener("click", () => {
    sessionStorage.removeItem(dismissedKey);
    showMistakes();
  });
  put(pill);
}

function put(element) {
  inside.replaceChildren(element);
  if (box.isConnected) return;
  // Above everything, a dialog of the page too.
  box.popover = "manual";
  document.body.append(box);
  box.showPopover();
}

function setMistakes(list) {
  const before = JSON.stringify(mistakes);
  mistakes = list;
  const now = JSON.stringify(list);
  if (list.length === 0) {
    sessionStorage.removeItem(dismissedKey);
    box.remove();
  } else if (now !== before || !box.isConnected) {
    if (sessionStorage.getItem(dismissedKey) === now) hideMistakes();
    else showMistakes();
  }
}

document.addEventListener(
  "keydown",
  (e) => {
    if (e.key !== "Escape" || !inside.querySelector(".panel")) return;
    e.preventDefault();
    e.stopImmediatePropagation();
    hideMistakes();
  },
  { capture: true },
);

/* The stream of events. */

const retry = 1000;
let stream;
let latest = ""; // what the server said last
let lost = false; // a server that is there again counts its versions anew

function listen() {
  stream?.close();
  stream = new EventSource("/-/events");
  stream.addEventListener("message", async (e) => {
    latest = e.data;
    const state = JSON.parse(e.data);
    const stale = lost || (mine !== undefined && String(state.version) !== mine);
    lost = false;
    swapStyles(state.styles ?? []);
    if (stale) {
      const leaving = await reload().catch(() => (lost = true));
      if (leaving || latest !== e.data) return;
    }
    setMistakes(state.mistakes ?? []);
  });
  stream.addEventListener("error", () => {
    lost = true;
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, retry);
  });
}

// A browser has few connections to one server: pages that nobody sees, or that wait behind the back button, use none.
const seen = () => {
  if (document.visibilityState === "visible") listen();
  else stream?.close();
};
document.addEventListener("visibilitychange", seen);
addEventListener("pagehide", () => stream?.close());
addEventListener("pageshow", (e) => e.persisted && seen());

findPlace();
seen();
