// The steps of a lab, in the text and in the pane: their state, and the report of the current step.

import { asApiError, type ApiError, type Report, type Session, type StepState } from "./api.js";
import { h, icon, put } from "./dom.js";
import type { Translator } from "./i18n.js";
import { ReportView, failing, signature } from "./report.js";
import type { Model, SessionStore } from "./session.js";
import { Strip } from "./strip.js";

interface Step {
  anchor: string;
  title: string;
  n: number;
  state: StepState | undefined;
  section: HTMLElement | undefined;
  chip: HTMLElement | undefined;
  inline: HTMLElement | undefined;
  report: ReportView;
  row: HTMLElement;
  rowState: HTMLElement;
  rowReport: ReportView;
  first: string; // signature of the first report
  pressed: boolean; // "Check now" was pressed
}

export interface StepsEvents {
  announce(text: string): void;
  error(err: ApiError): void;
  /** The page scrolls to the text, which must be uncovered. */
  toText(): void;
  /** The focused element was removed. */
  focus(): void;
}

export class Steps {
  /** The list of steps in the pane. */
  readonly list = h("ol", { class: "lab-step-list" });
  /** The progress bar in the pane's header. */
  readonly meter = h("span", { class: "lab-meter", "aria-hidden": "true" });
  readonly count = h("span", { class: "lab-count" });
  /** The current step at the bottom of the pane. */
  readonly foot = h("div", { class: "lab-foot" });
  /** The report of the current step, above the bottom bar. */
  readonly strip: Strip;
  private readonly footTitle: HTMLButtonElement;
  private readonly footHint: HTMLButtonElement;
  private readonly footCheck: HTMLButtonElement;
  private steps: Step[] = [];
  private session = "";
  private checking = false;
  private left: Step | undefined; // just done, while the next step has not opened yet
  private said: string[] = [];
  private warned = ""; // the wrong state that was announced last

  constructor(
    private readonly root: HTMLElement,
    private readonly store: SessionStore,
    private readonly t: Translator,
    private readonly events: StepsEvents,
  ) {
    this.strip = new Strip(t, () => this.events.focus());
    this.footTitle = h("button", { type: "button", class: "lab-foot-title", onclick: () => this.goTo(this.current()) });
    this.footHint = h("button", { type: "button", class: "lab-button lab-button-quiet", onclick: () => this.hint(this.current()) }, t("hint"));
    this.footCheck = h("button", { type: "button", class: "lab-button", onclick: () => void this.check() }, t("check"));
    this.foot.append(this.footTitle, h("div", { class: "lab-foot-actions" }, this.footHint, this.footCheck));
    for (const section of document.querySelectorAll<HTMLElement>("[data-step]")) {
      const anchor = section.dataset["step"] ?? "";
      const heading = section.querySelector<HTMLElement>("h1, h2, h3");
      this.add(anchor, headingText(heading), section, heading ?? undefined);
    }
    this.draw();
  }

  update(model: Model): void {
    const session = model.session;
    const fresh = session !== undefined && session.id !== this.session;
    this.session = session?.id ?? "";
    for (const s of session?.steps ?? []) {
      const known = this.find(s.anchor);
      if (!known) this.add(s.anchor, s.title ?? s.anchor, undefined, undefined);
      else if (!known.section && s.title) known.title = s.title;
    }
    const gone: Step[] = [];
    for (const step of this.steps) {
      const now = session?.steps?.find((s) => s.anchor === step.anchor);
      const state: StepState | undefined = now?.state ?? (model.progress?.steps[step.anchor] !== undefined && !session ? "done" : undefined);
      if (fresh) {
        this.left = undefined;
        step.first = "";
        step.pressed = false;
      } else if (session && step.state === "open" && state === "done") {
        gone.push(step);
      }
      if (step.state !== state) step.pressed = false;
      step.state = state;
      const report = state === "open" ? now?.report : undefined;
      if (report && step.first === "") step.first = signature(report);
      const active = report !== undefined && signature(report) !== step.first && failing(report).length > 1;
      step.report.update(report, step.pressed || active);
      step.rowReport.update(report, step.pressed || active);
    }
    this.draw();
    this.warn(session);
    if (gone.length > 0) this.celebrate(gone);
    this.goOn();
  }

  get total(): number {
    return this.steps.length;
  }

  get done(): number {
    return this.steps.filter((s) => s.state === "done").length;
  }

  current(): Step | undefined {
    return this.steps.find((s) => s.state === "open");
  }

  /** Moves the focus from the terminal to the current step's text. */
  focusText(): void {
    this.events.toText();
    const section = this.current()?.section ?? this.root;
    const target = section.querySelector<HTMLElement>("h1, h2, h3") ?? section;
    target.tabIndex = -1;
    target.focus();
  }

  private find(anchor: string): Step | undefined {
    return this.steps.find((s) => s.anchor === anchor);
  }

  private add(anchor: string, title: string, section: HTMLElement | undefined, heading: HTMLElement | undefined): void {
    const rowState = h("span", { class: "lab-step-mark" });
    const rowReport = new ReportView(this.t);
    const n = this.steps.length + 1;
    const row = h("li", { class: "lab-step" }, rowState);
    const chip = heading && h("span", { class: "lab-chip", hidden: true });
    if (heading && chip) heading.append(chip);
    const step: Step = {
      anchor, title, n, section, chip, rowState, rowReport, row,
      inline: section?.querySelector<HTMLElement>("[data-step-status]") ?? undefined,
      state: undefined,
      report: new ReportView(this.t),
      first: "",
      pressed: false,
    };
    row.append(h("div", { class: "lab-step-body" }, this.rowTitle(step), rowReport.el));
    if (step.inline) this.fillInline(step);
    this.steps.push(step);
    this.list.append(row);
  }

  private rowTitle(step: Step): HTMLElement {
    if (step.section) {
      return h("a", {
        class: "lab-step-title",
        href: `#${step.anchor}`,
        onclick: (event) => {
          event.preventDefault();
          this.goTo(step);
        },
      }, step.title);
    }
    // Lessons list a lab's steps without their text, so link to the lab's page.
    const prefix = document.body.dataset["lang"] === "zh" ? "/zh" : "";
    const page = this.root.dataset["labUrl"] ?? `${prefix}/labs/${this.store.lab}/`;
    return h("a", { class: "lab-step-title", href: `${page}#${step.anchor}`, target: "_blank" }, step.title);
  }

  private fillInline(step: Step): void {
    const inline = step.inline;
    if (!inline) return;
    inline.setAttribute("aria-live", "off"); // the pane's live region announces it already
    const hint = h("button", { type: "button", class: "lab-button lab-button-quiet", onclick: () => this.hint(step) }, this.t("hint"));
    hint.hidden = this.hints(step).length === 0;
    put(
      inline,
      h("p", { class: "lab-inline-done" }, icon("check"), h("span", {}, this.t("stepDone"))),
      h("div", { class: "lab-inline-open" },
        step.report.el,
        h("div", { class: "lab-inline-actions" },
          h("button", { type: "button", class: "lab-button", "data-lab-check": true, onclick: () => void this.check(step) }, this.t("check")),
          hint,
        ),
      ),
    );
  }

  private draw(): void {
    const current = this.current();
    const running = this.session !== "";
    for (const step of this.steps) {
      const state = step.state;
      const word = state === "done" ? this.t("stepDone") : state === "open" ? this.t("stepOpen") : state === "locked" ? this.t("stepLocked") : "";
      if (step.row.dataset["state"] !== (state ?? "")) {
        step.row.dataset["state"] = state ?? "";
        put(step.rowState, state === "done" ? icon("check") : state === "locked" ? icon("lock") : String(step.n), h("span", { class: "lab-hidden" }, word));
        if (state === "open") step.row.setAttribute("aria-current", "step");
        else step.row.removeAttribute("aria-current");
      }
      const title = step.row.querySelector(".lab-step-title");
      if (title && title.textContent !== step.title) title.textContent = step.title;
      if (step.section) {
        step.section.dataset["state"] = state ?? "";
        if (step.chip) {
          // Locked steps have no label, because the text may be read ahead.
          step.chip.hidden = state !== "done" && !(state === "open" && running);
          step.chip.dataset["state"] = state ?? "";
          if (step.chip.textContent !== word) put(step.chip, state === "done" && icon("check"), word);
        }
      }
    }
    if (this.meter.childElementCount !== this.steps.length) put(this.meter, ...this.steps.map(() => h("i", {})));
    this.steps.forEach((step, i) => {
      const bar = this.meter.children[i] as HTMLElement | undefined;
      if (bar) bar.dataset["state"] = step.state ?? "";
    });
    this.count.textContent = this.t("stepsProgress", { done: this.done, total: this.total });
    const allDone = running && this.total > 0 && this.done === this.total;
    this.foot.hidden = this.total === 0;
    this.foot.dataset["done"] = String(allDone);
    put(this.footTitle, ...(current
      ? [h("span", { class: "lab-foot-n" }, String(current.n)), h("span", { class: "lab-foot-text" }, current.title)]
      : allDone
        ? [icon("check"), h("span", { class: "lab-foot-text" }, this.t("allDone"))]
        : []));
    if (current) this.footTitle.title = this.t("goToStep");
    else this.footTitle.removeAttribute("title");
    this.footTitle.disabled = !current?.section;
    this.footCheck.hidden = !current;
    const left = current ? this.hints(current).filter((d) => !d.open).length : 0;
    this.footHint.hidden = left === 0;
    this.footHint.textContent = this.t(current && left < this.hints(current).length ? "nextHint" : "hint");
  }

  private hints(step: Step): HTMLDetailsElement[] {
    return [...(step.section?.querySelectorAll<HTMLDetailsElement>("details[data-hint]") ?? [])];
  }

  private hint(step: Step | undefined): void {
    if (!step) return;
    const next = this.hints(step).find((d) => !d.open);
    if (!next) return;
    next.open = true;
    this.events.toText();
    scrollTo(next, "center");
    const summary = next.querySelector("summary");
    summary?.focus({ preventScroll: true });
    this.draw();
  }

  private goTo(step: Step | undefined): void {
    if (!step?.section) return;
    this.events.toText();
    scrollTo(step.section, "start");
  }

  private async check(step = this.current()): Promise<void> {
    if (!step || this.checking) return;
    this.checking = true;
    this.busy(true);
    try {
      step.pressed = true;
      this.strip.recall();
      const report = await this.store.check(step.anchor);
      if (!report.passed) this.told(step, report);
    } catch (err) {
      this.events.error(asApiError(err));
    } finally {
      this.checking = false;
      this.busy(false);
    }
  }

  private told(step: Step, report: Report): void {
    step.report.update(report, true);
    step.rowReport.update(report, true);
    this.strip.show(step.anchor, report, true);
    this.speak(report);
  }

  /** Shows the current step's report beside the terminal, and announces each wrong state once. */
  private warn(session: Session | undefined): void {
    const step = session?.state === "ready" ? session.steps?.find((s) => s.state === "open") : undefined;
    const wrong = step?.report?.wrong;
    this.strip.show(step?.anchor ?? "", step?.report, this.current()?.pressed ?? false);
    const now = step && wrong ? `${step.anchor}/${wrong.id}` : "";
    if (now === this.warned) return;
    this.warned = now;
    if (step?.report && now !== "" && !this.checking) this.speak(step.report);
  }

  private speak(report: Report): void {
    const wrong = report.wrong;
    this.events.announce([this.t("notYet"), wrong?.saw ?? "", wrong?.hint ?? failing(report)[0]?.hint ?? ""].filter(Boolean).join(". ").replaceAll("`", ""));
  }

  private busy(on: boolean): void {
    const word = this.t(on ? "checking" : "check");
    for (const button of [this.footCheck, ...document.querySelectorAll<HTMLButtonElement>("[data-lab-check]")]) {
      button.textContent = word;
      button.setAttribute("aria-disabled", String(on));
    }
  }

  private celebrate(gone: Step[]): void {
    for (const step of gone) {
      for (const el of [step.section, step.row]) {
        el?.classList.add("lab-just-done");
        setTimeout(() => el?.classList.remove("lab-just-done"), 2_000);
      }
    }
    this.said = gone.map((s) => this.t("stepDoneAnnounce", { n: s.n, title: s.title }));
    this.left = gone[gone.length - 1];
    if (this.done === this.total) this.said.push(this.t("allDone"));
    this.events.announce(this.said.join(" "));
  }

  /** Called when the next step has opened, which may be a moment after the last one passed. */
  private goOn(): void {
    const next = this.current();
    const last = this.left;
    if (!next || !last) return;
    this.left = undefined;
    this.events.announce([...this.said, this.t("stepNextAnnounce", { title: next.title })].join(" "));
    // Scroll only if the learner has reached the end of the finished step.
    const end = last.inline ?? last.section;
    if (next.section && end && inView(end) && !inView(next.section.querySelector("h2") ?? next.section)) {
      setTimeout(() => scrollTo(next.section!, "start"), 700);
    }
  }
}

/** Returns a heading's text without permalinks and step numbers. */
function headingText(heading: HTMLElement | null): string {
  if (!heading) return "";
  const copy = heading.cloneNode(true) as HTMLElement;
  for (const extra of copy.querySelectorAll(".anchor, .lab-chip, .step-label, .step-number, [aria-hidden=true]")) extra.remove();
  return (copy.textContent ?? "").trim();
}

function inView(el: Element): boolean {
  const box = el.getBoundingClientRect();
  return box.height > 0 && box.bottom > 80 && box.top < window.innerHeight - 40;
}

function scrollTo(el: Element, block: ScrollLogicalPosition): void {
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  el.scrollIntoView({ block, behavior: calm ? "auto" : "smooth" });
}
