// The strip above the pane's foot: what a check recognised, beside the terminal in which it happened. It takes its space
// from the terminal, which fits itself anew, so it never lies over the prompt.

import type { WrongState } from "./api.js";
import { h, icon, put, rich } from "./dom.js";
import type { Translator } from "./i18n.js";

export class Strip {
  readonly el = h("div", { class: "lab-strip", hidden: true });
  private shown = "";
  private dismissed = "";

  /** left is called when the strip goes away under the keyboard's focus. */
  constructor(
    private readonly t: Translator,
    private readonly left: () => void,
  ) {}

  /** show tells what is wrong in a step. What was dismissed stays away until that state was gone once. */
  show(step: string, wrong: WrongState | undefined): void {
    const key = wrong ? `${step}/${wrong.id}` : "";
    if (key !== this.dismissed) this.dismissed = "";
    const sentence = wrong?.hint || wrong?.saw;
    if (!sentence || this.dismissed !== "") {
      this.hide();
      return;
    }
    const now = JSON.stringify([key, wrong.saw, wrong.hint]);
    if (now === this.shown) return;
    this.shown = now;
    const words = this.t("dismiss");
    put(this.el,
      h("div", { class: "lab-strip-words" },
        wrong.hint && wrong.saw ? h("p", { class: "lab-strip-saw" }, rich(wrong.saw)) : undefined,
        h("p", {}, rich(sentence))),
      h("button", {
        type: "button", class: "lab-tool", "aria-label": words, title: words,
        onclick: () => {
          this.dismissed = key;
          this.hide();
        },
      }, icon("close")),
    );
    this.el.hidden = false;
  }

  /** recall forgets that the present state was dismissed: its learner asked again. */
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
