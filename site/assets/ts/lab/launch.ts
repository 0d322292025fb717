// The card that starts a lab. lab.css reserves its space to avoid a layout shift when it is filled.

import { h, icon, put, rich } from "./dom.js";
import type { Key, Translator } from "./i18n.js";
import type { Pane } from "./pane.js";
import type { Model, SessionStore } from "./session.js";

export class Launch {
  private shown = "";

  constructor(
    private readonly card: HTMLElement,
    private readonly store: SessionStore,
    private readonly pane: Pane,
    private readonly t: Translator,
    private readonly labTitle: string,
  ) {
    card.classList.add("lab-launch");
    card.setAttribute("aria-live", "polite");
    store.onChange((model) => this.update(model));
  }

  /** Opens the pane before the server has answered. */
  start(startOver = false): void {
    this.pane.begin(true);
    void this.store.start(startOver);
  }

  /** Asks whether to start the lab, after a click on Run without a running lab. */
  offer(): void {
    const phase = this.store.model.phase;
    if (phase !== "idle" && phase !== "over") {
      this.card.scrollIntoView({ block: "center" });
      return;
    }
    const dialog = h("dialog", { class: "lab-dialog", "aria-labelledby": "lab-offer-title", onclose: () => dialog.remove() },
      h("h2", { id: "lab-offer-title" }, this.t("runStart")),
      h("p", {}, this.t("launchText")),
      h("div", { class: "lab-dialog-actions" },
        h("button", { type: "button", class: "lab-button lab-button-quiet", onclick: () => dialog.close() }, this.t("notNow")),
        h("button", {
          type: "button", class: "lab-button lab-button-main", autofocus: true,
          onclick: () => {
            dialog.close();
            this.start();
          },
        }, this.t("start")),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  }

  private update(model: Model): void {
    const now = JSON.stringify([model.phase, model.reason, model.error?.code, model.error?.message, Object.keys(model.progress?.steps ?? {}).length]);
    if (now === this.shown) return;
    this.shown = now;
    this.card.dataset["phase"] = model.phase;
    put(this.card, ...this.content(model));
  }

  private content(model: Model): (Node | undefined)[] {
    const t = this.t;
    const words = (title: string, text: string | Node): HTMLElement =>
      h("div", { class: "lab-launch-words" }, h("p", { class: "lab-launch-title" }, title), h("p", { class: "lab-launch-text" }, text));
    const start = (key: Key): HTMLElement => h("button", { type: "button", class: "lab-button lab-button-main lab-go", onclick: () => this.start() }, icon("play"), h("span", {}, t(key)));
    switch (model.phase) {
      case "looking":
        return [];
      case "offline":
        return [
          words(t("launchAway"), t("launchAwayText")),
          h("button", { type: "button", class: "lab-button lab-go", onclick: () => void this.store.look() }, h("span", {}, t("retry"))),
        ];
      case "off":
        return [words(t("launchOff"), rich(`${model.reason} ${t("launchOffText")}`.trim()))];
      case "idle":
        return [words(this.labTitle || t("launchTitle"), rich(this.before(model) || t("launchText"))), this.over(model), start("start")];
      case "starting":
        return [words(this.labTitle || t("launchTitle"), t("launchText")), h("button", { type: "button", class: "lab-button lab-button-main lab-go", "aria-disabled": "true" }, h("span", { class: "lab-spinner" }), h("span", {}, t("starting")))];
      case "live":
        return [
          words(t("launchRunning"), t("launchRunningText")),
          h("button", { type: "button", class: "lab-button lab-go", onclick: () => this.pane.unfold() }, icon("terminal"), h("span", {}, t("showTerminal"))),
        ];
      case "over": {
        const failed = model.error !== undefined && model.error.code !== "gone";
        return [
          words(t(failed ? "launchFailed" : "launchEnded"), rich(failed && model.error ? this.pane.sentence(model.error) : t("launchEndedText"))),
          this.over(model),
          start(failed ? "retry" : "startAgain"),
        ];
      }
    }
  }

  /**
   * Returns a button that starts at the first step, for learners whose finished steps would be
   * replayed.
   */
  private over(model: Model): HTMLElement | undefined {
    if (model.progress?.done || Object.keys(model.progress?.steps ?? {}).length === 0) return undefined;
    return h("button", { type: "button", class: "lab-button lab-button-quiet", onclick: () => this.start(true) }, this.t("startOver"));
  }

  private before(model: Model): string {
    const done = Object.keys(model.progress?.steps ?? {}).length;
    if (model.progress?.done) return this.t("launchAllDone");
    return done > 0 && this.pane.steps.total > 0 ? this.t("launchProgress", { done, total: this.pane.steps.total }) : "";
  }
}
