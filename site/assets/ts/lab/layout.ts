// Position and size of the pane: beside the text on wide screens, a sheet at the bottom on narrow
// ones. The separator changes the size by pointer and keyboard. The size is stored in the browser.

import { h } from "./dom.js";
import type { Translator } from "./i18n.js";
import { kept, recall, remember } from "./storage.js";

const sizeKey = "labd.pane";
const wide = "(min-width: 60rem)";
/** On pages this low the pane covers the whole page. page.css uses the same limit. */
const short = matchMedia("(max-height: 30rem)");
const keyboardFrom = 120; // px; smaller changes are the browser's own toolbars
const limits = { wide: { min: 28, max: 72, start: 50 }, narrow: { min: 25, max: 85, start: 46 } };

type Mode = keyof typeof limits;

export class Layout {
  readonly separator: HTMLElement;
  private readonly media = matchMedia(wide);
  private readonly sizes: Record<Mode, number> = { wide: limits.wide.start, narrow: limits.narrow.start };
  private isOpen = false;
  private isHidden = false;
  private isWidened = false;

  constructor(
    private readonly pane: HTMLElement,
    private readonly t: Translator,
    private readonly changed: () => void,
  ) {
    this.load();
    this.separator = h("div", {
      class: "lab-separator",
      role: "separator",
      tabindex: "0",
      onpointerdown: (e) => this.drag(e as PointerEvent),
      onkeydown: (e) => this.key(e as KeyboardEvent),
      ondblclick: () => this.set(limits[this.mode].start, true),
    });
    this.media.addEventListener("change", () => this.apply());
    window.visualViewport?.addEventListener("resize", () => this.keyboard());
    this.apply();
  }

  get mode(): Mode {
    return this.media.matches ? "wide" : "narrow";
  }

  get open(): boolean {
    return this.isOpen;
  }

  get hidden(): boolean {
    return this.isHidden;
  }

  /** Whether the terminal covers the text, to show wide output. */
  get widened(): boolean {
    return this.isWidened && this.isOpen && !this.isHidden && this.mode === "wide";
  }

  /** Toggles between the terminal on the whole page and beside the text. */
  widen(): void {
    this.isWidened = !this.isWidened;
    keepPlace(() => this.apply());
  }

  /** Uncovers the text. */
  showText(): void {
    if (this.widened) this.widen();
    else if (this.mode === "narrow" && short.matches) this.hide();
  }

  /** Opens the pane without scrolling the text away from where the learner reads. */
  show(): void {
    if (this.isOpen && !this.isHidden) return;
    keepPlace(() => {
      this.isOpen = true;
      this.isHidden = false;
      this.apply();
    });
  }

  /** Hides the pane. The session continues. */
  hide(): void {
    if (!this.isOpen || this.isHidden) return;
    keepPlace(() => {
      this.isHidden = true;
      this.apply();
    });
  }

  close(): void {
    if (!this.isOpen) return;
    keepPlace(() => {
      this.isOpen = false;
      this.isHidden = false;
      this.apply();
    });
  }

  private apply(): void {
    const root = document.documentElement;
    root.classList.toggle("lab-open", this.isOpen);
    root.classList.toggle("lab-folded", this.isOpen && this.isHidden);
    root.classList.toggle("lab-wide", this.widened);
    root.style.setProperty("--lab-width", this.widened ? "100%" : `${this.sizes.wide}vw`);
    root.style.setProperty("--lab-height", `${this.sizes.narrow}dvh`);
    this.pane.hidden = !this.isOpen;
    const { min, max } = limits[this.mode];
    const s = this.separator;
    s.setAttribute("aria-orientation", this.mode === "wide" ? "vertical" : "horizontal");
    s.setAttribute("aria-label", this.t(this.mode === "wide" ? "separator" : "separatorSheet"));
    s.setAttribute("aria-valuemin", String(min));
    s.setAttribute("aria-valuemax", String(max));
    s.setAttribute("aria-valuenow", String(Math.round(this.sizes[this.mode])));
    this.changed();
  }

  // An on-screen keyboard covers the bottom of the page. The pane then uses the area above it.
  private keyboard(): void {
    const view = window.visualViewport;
    if (!view) return;
    const covered = window.innerHeight - view.height * view.scale;
    const root = document.documentElement;
    root.classList.toggle("lab-keyboard", covered >= keyboardFrom);
    root.style.setProperty("--lab-covered", `${Math.round(covered)}px`);
  }

  private set(size: number, keep: boolean): void {
    const { min, max } = limits[this.mode];
    this.sizes[this.mode] = Math.min(max, Math.max(min, size));
    this.apply();
    if (keep) remember(kept, sizeKey, JSON.stringify(this.sizes));
  }

  private load(): void {
    try {
      const saved = JSON.parse(recall(kept, sizeKey) ?? "{}") as Partial<Record<Mode, number>>;
      for (const mode of ["wide", "narrow"] as const) {
        const size = saved[mode];
        const { min, max } = limits[mode];
        if (typeof size === "number" && size >= min && size <= max) this.sizes[mode] = size;
      }
    } catch {
      // Not a value that this code stored: use the default.
    }
  }

  private drag(event: PointerEvent): void {
    if (event.button !== 0) return;
    event.preventDefault();
    const s = this.separator;
    s.setPointerCapture(event.pointerId);
    document.documentElement.classList.add("lab-dragging");
    const move = (e: PointerEvent): void => {
      const size = this.mode === "wide" ? 100 - (100 * e.clientX) / window.innerWidth : 100 - (100 * e.clientY) / window.innerHeight;
      this.set(size, false);
    };
    const stop = (): void => {
      s.removeEventListener("pointermove", move);
      document.documentElement.classList.remove("lab-dragging");
      this.set(this.sizes[this.mode], true);
    };
    s.addEventListener("pointermove", move);
    s.addEventListener("lostpointercapture", stop, { once: true });
  }

  private key(event: KeyboardEvent): void {
    const { min, max } = limits[this.mode];
    const now = this.sizes[this.mode];
    let next: number;
    switch (event.key) {
      case "ArrowLeft":
      case "ArrowUp": next = now + 2; break;
      case "ArrowRight":
      case "ArrowDown": next = now - 2; break;
      case "Home": next = max; break;
      case "End": next = min; break;
      default: return;
    }
    event.preventDefault();
    this.set(next, true);
  }
}

/** Changes the layout and then scrolls, so that the line the learner reads does not move. */
export function keepPlace(change: () => void): void {
  const top = 90;
  let anchor: Element | undefined;
  for (const el of document.querySelectorAll("main :is(h1, h2, h3, p, li, pre, section)")) {
    const box = el.getBoundingClientRect();
    if (box.height > 0 && box.top >= top && box.top < window.innerHeight) {
      anchor = el;
      break;
    }
  }
  const before = anchor?.getBoundingClientRect().top ?? 0;
  change();
  if (!anchor || window.scrollY === 0) return;
  window.scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: "instant" });
}
