// Renders a check's report, both in the step's text and in the pane's list of steps.

import type { Finding, Report, WrongState } from "./api.js";
import { h, icon, put, rich } from "./dom.js";
import type { Translator } from "./i18n.js";

/** Returns a string that is equal for reports that render the same. */
export function signature(report: Report | undefined): string {
  if (!report) return "";
  return JSON.stringify([report.passed, report.wrong ?? null, report.findings ?? []]);
}

/** Returns the findings that are not ok. */
export function failing(report: Report | undefined): Finding[] {
  return (report?.findings ?? []).filter((f) => !f.ok);
}

/** Describes a finding in one line. */
export function sighting(f: Finding, t: Translator): string {
  if (f.kind === "setup") return t("setupPending");
  const name = f.subject || f.kind;
  return f.saw ? t("sighting", { name, saw: f.saw }) : name;
}

/** Renders reports into one element and remembers whether the learner opened the details. */
export class ReportView {
  readonly el = h("div", { class: "lab-report", hidden: true });
  private shown = "";
  private open: boolean | undefined;

  constructor(private readonly t: Translator) {}

  /** Renders a report. eager opens the details, unless the learner closed them. */
  update(report: Report | undefined, eager: boolean): void {
    const now = signature(report);
    if (now === this.shown) {
      const details = this.el.querySelector("details");
      if (eager && this.open === undefined && details) details.open = true;
      return;
    }
    this.shown = now;
    const bad = failing(report);
    this.el.hidden = !report || report.passed || (!report.wrong && bad.length === 0);
    if (this.el.hidden || !report) {
      put(this.el);
      this.open = undefined;
      return;
    }
    if (report.wrong) {
      put(this.el, this.wrong(report.wrong));
      return;
    }
    const details = h("details", { class: "lab-findings", open: this.open ?? eager });
    const summary = h("summary", { onclick: () => (this.open = !details.open) }, icon("right"), h("span", {}, this.t("checkSees")), this.tally(report));
    const hints = new Set<string>();
    details.append(summary, h("ul", {}, ...(report.findings ?? []).map((f) => {
      // show a hint once, even if several findings have it
      const hint = f.hint && !hints.has(f.hint) ? f.hint : undefined;
      if (hint) hints.add(hint);
      return this.finding(f, hint);
    })));
    put(this.el, details);
  }

  private wrong(wrong: WrongState): HTMLElement {
    return h(
      "div",
      { class: "lab-wrong" },
      h("p", { class: "lab-wrong-title" }, this.t("notYet")),
      wrong.saw ? h("p", { class: "lab-wrong-saw" }, rich(wrong.saw)) : undefined,
      wrong.hint ? h("p", { class: "lab-wrong-hint" }, rich(wrong.hint)) : undefined,
    );
  }

  private tally(report: Report): HTMLElement {
    const all = report.findings ?? [];
    return h("span", { class: "lab-tally" }, `${all.filter((f) => f.ok).length}/${all.length}`);
  }

  private finding(f: Finding, hint: string | undefined): HTMLElement {
    if (f.kind === "setup") return h("li", { class: "lab-finding" }, h("p", {}, this.t("setupPending")));
    const row = (name: string, text: string | undefined): (HTMLElement | undefined)[] =>
      text ? [h("dt", {}, name), h("dd", {}, rich(text))] : [];
    return h(
      "li",
      { class: f.ok ? "lab-finding lab-finding-ok" : "lab-finding" },
      h("p", { class: "lab-finding-subject" }, f.ok ? icon("check") : h("span", { class: "lab-dot", "aria-hidden": "true" }), h("span", {}, rich(f.subject || f.kind))),
      f.ok
        ? undefined
        : h("dl", {}, ...row(this.t("seen"), f.saw), ...row(this.t("expected"), f.expected), ...row(this.t("hintLabel"), hint)),
    );
  }
}
