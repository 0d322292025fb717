// The strip between the terminal and the bottom bar, which shows what a check found. The terminal
// shrinks to make room for it, so it never covers the prompt.

import type { Finding, Report, WrongState } from "./api.js";
import { h, icon, put, rich } from "./dom.js";
import type { Translator } from "./i18n.js";
import { failing, sighting } from "./report.js";

export class Strip {
  readonly el = h("div", { class: "lab-strip", hidden: true });
  private shown = "";
  private dismissed = "";

  /** left is called when the strip disappears while it has the focus. */
  constructor(
    private readonly t: Translator,
    private readonly left: () => void,
  ) {}

  /**
   * Shows the recognised wrong state, or, after "Check now", each failed finding. A dismissed strip
   * stays hidden until the problem was gone once.
   */
  show(step: string, report: Report | undefined, asked: boolean): void {
    const wrong = report?.wrong;
    const bad = asked && !wrong ? failing(report) : [];
    const key = wrong ? `${step}/${wrong.id}` : bad.length > 0 ? `${step}/` : "";
    if (key !== this.dismissed) this.dismissed = "";
    const words = wrong ? this.recognised(wrong) : this.findings(bad);
    if (words.length === 0 || this.dismissed !== "") {
      this.hide();
      return;
    }
    const now = JSON.stringify([key, wrong ?? bad]);
    if (now === this.shown) return;
    this.shown = now;
    const dismiss = this.t("dismiss");
    put(this.el,
      h("div", { class: "lab-strip-words" }, ...words),
      h("button", {
        type: "button", class: "lab-tool", "aria-label": dismiss, title: dismiss,
        onclick: () => {
          this.dismissed = key;
          this.hide();
        },
      }, icon("close")),
    );
    this.el.hidden = false;
  }

  private recognised(wrong: WrongState): HTMLElement[] {
    const sentence = wrong.hint || wrong.saw;
    if (!sentence) return [];
    const saw = wrong.hint && wrong.saw ? [h("p", { class: "lab-strip-saw" }, rich(wrong.saw))] : [];
    return [...saw, h("p", {}, rich(sentence))];
  }

  private findings(bad: Finding[]): HTMLElement[] {
    const out: HTMLElement[] = [];
    const said = new Set<string>();
    for (const f of bad) {
      out.push(h("p", { class: "lab-strip-saw" }, rich(sighting(f, this.t))));
      if (f.hint && !said.has(f.hint)) out.push(h("p", {}, rich(f.hint)));
      said.add(f.hint ?? "");
    }
    return out;
  }

  /** Shows the strip again although it was dismissed, because the learner pressed "Check now". */
  recall(): void {
    this.dismissed = "";
  }

  private hide(): void {
    if (this.el.hidden) return;
    const focused = this.el.querySelector(":focus-visible") !== null;
    this.shown = "";
    this.el.hidden = true;
    put(this.el);
    if (focused) this.left();
  }
}
