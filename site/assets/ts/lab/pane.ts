// The lab pane: header with progress and time, terminals, and the current step at the bottom. It
// renders the session store's state and keeps no lab state of its own.

import { asApiError, type ApiError, type Session } from "./api.js";
import { h, icon, put, rich } from "./dom.js";
import { errorText, type Key, type Translator } from "./i18n.js";
import { Layout } from "./layout.js";
import type { LinkState } from "./link.js";
import type { Front } from "./marks.js";
import type { Model, SessionStore } from "./session.js";
import { Steps } from "./steps.js";
import { Terminals, type Choices } from "./terminals.js";
import { minutesLeft } from "./time.js";

interface Notice {
  kind: "info" | "warn" | "error";
  text: string;
  actions?: { label: string; run: () => void }[];
  dismiss?: () => void;
}

const sayBrokenAfter = 1_200;
const errorShownFor = 8_000;
const noticeShownFor = 6_000;
const engineWait = 20_000;
const shownCommand = 60; // characters

export class Pane {
  readonly layout: Layout;
  readonly terminals: Terminals;
  readonly steps: Steps;
  private readonly live = h("div", { class: "lab-hidden", role: "status", "aria-live": "polite" });
  private readonly notices = h("div", { class: "lab-notices", "aria-live": "polite" });
  private readonly chip = h("span", { class: "lab-status", role: "status", hidden: true });
  private readonly time = h("span", { class: "lab-time" });
  private readonly cover = h("div", { class: "lab-cover", hidden: true });
  private readonly drawer = h("div", { class: "lab-drawer", id: "lab-steps", hidden: true });
  private readonly stepsButton: HTMLButtonElement;
  private readonly menuButton: HTMLButtonElement;
  private readonly menu = h("div", { class: "lab-menu lab-head-menu", id: "lab-menu", hidden: true });
  private readonly widenButton: HTMLButtonElement;
  private readonly foldButton: HTMLButtonElement;
  private readonly reopen: HTMLButtonElement;
  private readonly shown = new Map<string, Notice>();
  private dismissed = "";
  private replayFailed = ""; // step whose notice was dismissed
  private linkBroken = false;
  private linkTimer: ReturnType<typeof setTimeout> | undefined;
  private opened = false; // a terminal of this session was connected before
  private session = "";
  private wantFocus = false;
  private extendable = true;
  private endedHere = false;
  private engineWaiters: (() => void)[] = [];

  constructor(
    private readonly pane: HTMLElement,
    root: HTMLElement,
    private readonly store: SessionStore,
    private readonly t: Translator,
  ) {
    this.layout = new Layout(pane, t, () => this.resized());
    this.terminals = new Terminals(store, t, {
      occupied: (front, choices) => this.occupied(front, choices),
      undelivered: (text, again) => this.undelivered(text, again),
      settled: () => {
        this.notice("occupied", undefined);
        this.notice("undelivered", undefined);
      },
      connection: (state) => this.connection(state),
      shortcut: (event) => this.shortcut(event),
      error: (err) => this.error(err),
    });
    this.steps = new Steps(root, store, t, {
      announce: (text) => this.announce(text),
      error: (err) => this.error(err),
      toText: () => this.layout.showText(),
      focus: () => this.terminals.focus(),
    });
    this.stepsButton = h("button", {
      type: "button", class: "lab-steps-button", "aria-expanded": "false", "aria-controls": "lab-steps",
      onclick: () => this.showDrawer(this.drawer.hidden),
    }, this.steps.meter, this.steps.count, icon("down"));
    this.menuButton = h("button", {
      type: "button", class: "lab-tool", "aria-label": t("menu"), title: t("menu"), "aria-expanded": "false", "aria-controls": "lab-menu",
      onclick: () => this.showMenu(this.menu.hidden),
    }, icon("more"));
    this.widenButton = h("button", { type: "button", class: "lab-tool lab-widen", onclick: () => this.widen() }, icon("widen"));
    this.foldButton = h("button", { type: "button", class: "lab-tool lab-fold", onclick: () => this.toggle() }, icon("down"));
    this.reopen = h("button", { type: "button", class: "lab-reopen", hidden: true, onclick: () => this.unfold() }, icon("terminal"), h("span", {}, t("showTerminal")));
    this.build();
    store.onChange((model) => this.update(model));
  }

  /** Opens the pane right after the click on Start, before the server has answered. */
  begin(focus: boolean): void {
    this.wantFocus = focus;
    this.layout.show();
  }

  unfold(): void {
    this.layout.show();
    this.terminals.focus();
  }

  /** Resolves when the Docker engine is ready, or after engineWait. */
  engineReady(): Promise<void> {
    if (this.store.model.session?.engine !== "starting") return Promise.resolve();
    return new Promise((done) => {
      const timer = setTimeout(done, engineWait);
      this.engineWaiters.push(() => {
        clearTimeout(timer);
        done();
      });
    });
  }

  /** Asks what to do with a command that would not reach an empty prompt. */
  private occupied(front: Front, choices: Choices): void {
    const t = this.t;
    const elsewhere = { label: t("runElsewhere"), run: choices.elsewhere };
    const anyway = { label: t("runAnyway"), run: choices.anyway };
    const [key, actions]: [Key, typeof elsewhere[]] =
      front === "full" ? ["frontFull", [elsewhere]]
      : front === "shell" ? ["frontShell", [elsewhere, anyway]]
      : front === "typed" ? ["frontTyped", [{ label: t("runClear"), run: choices.clear }, elsewhere]]
      : front === "more" ? ["frontMore", [{ label: t("runClear"), run: choices.clear }, elsewhere]]
      : ["frontProgram", [elsewhere, anyway]];
    this.ask("occupied", t(key), actions);
  }

  private undelivered(text: string, again: () => void): void {
    const first = text.trim().split("\n")[0] ?? "";
    const command = (first.length > shownCommand ? first.slice(0, shownCommand) + "…" : first).replaceAll("`", "'");
    this.ask("undelivered", this.t("undelivered", { command }), [{ label: this.t("runAgain"), run: again }]);
  }

  /** Shows a notice with choices and focuses the first one. */
  private ask(key: string, text: string, actions: { label: string; run: () => void }[]): void {
    const leave = (): void => {
      this.notice(key, undefined);
      this.terminals.focus();
    };
    this.notice(key, undefined);
    this.notice(key, { kind: "warn", text, actions, dismiss: leave });
    this.notices.querySelector<HTMLElement>(`[data-notice="${key}"] button`)?.focus();
  }

  announce(text: string): void {
    // Screen readers announce only changes, so the same text twice in a row needs a change in
    // between.
    this.live.textContent = "";
    requestAnimationFrame(() => (this.live.textContent = text));
  }

  error(err: ApiError): void {
    const text = this.sentence(err);
    this.notice("error", { kind: "error", text, dismiss: () => this.notice("error", undefined) });
    setTimeout(() => {
      if (this.shown.get("error")?.text === text) this.notice("error", undefined);
    }, errorShownFor);
  }

  sentence(err: ApiError): string {
    const text = errorText(this.store.lang, err.code, err.message, err.detail);
    return err.id === "" || err.code !== "internal" ? text : `${text} ${this.t("errorId", { id: err.id })}`;
  }

  private build(): void {
    const t = this.t;
    const mac = /^(Mac|iP)/.test(navigator.platform);
    this.pane.classList.add("lab-pane");
    this.pane.setAttribute("role", "region");
    this.pane.setAttribute("aria-label", t("pane"));
    const reader = h("button", { type: "button", onclick: () => this.toggleReader(reader) }, "");
    this.labelReader(reader);
    this.menu.append(
      reader,
      h("button", { type: "button", onclick: () => this.resetTerminal() }, t("resetTerminal")),
      h("button", { type: "button", onclick: () => void this.restoreImages() }, t("restoreImages")),
      h("button", { type: "button", onclick: () => this.askReset() }, t("resetMachine")),
      h("button", { type: "button", class: "lab-danger", onclick: () => this.askEnd() }, t("end")),
      h("div", { class: "lab-keys" }, h("p", { class: "lab-keys-title" }, t("keysTitle")), h("p", {}, t("keysLeave")), h("p", {}, t(mac ? "keysCopyMac" : "keysCopy")), h("p", {}, t("keysTabs"))),
    );
    this.drawer.append(this.steps.list);
    const head = h("div", { class: "lab-head" },
      this.stepsButton,
      h("span", { class: "lab-space" }),
      this.time,
      this.widenButton,
      h("div", { class: "lab-menu-anchor" }, this.menuButton, this.menu),
      this.foldButton,
    );
    const bar = this.terminals.bar;
    bar.append(h("span", { class: "lab-space" }), this.chip, h("span", { class: "lab-bar-keys" }, t(mac ? "barKeysMac" : "barKeys")));
    put(
      this.pane,
      this.layout.separator,
      head,
      h("div", { class: "lab-stage" },
        bar,
        this.notices, // above the terminal, so that they never cover the prompt
        h("div", { class: "lab-well" }, this.terminals.body, this.cover),
        this.keyBar(),
        this.drawer,
      ),
      this.steps.strip.el,
      this.steps.foot,
    );
    // Outside the pane, because it may be hidden when a step turns green.
    document.body.append(this.reopen, this.live);
    this.pane.addEventListener("keydown", (event) => {
      const target = event.target as Element;
      if (event.key !== "Escape" || target.closest(".lab-terminal")) return;
      const notice = target.closest<HTMLElement>(".lab-notice")?.dataset["notice"];
      if (notice !== undefined) this.shown.get(notice)?.dismiss?.();
      else if (!this.menu.hidden) {
        this.showMenu(false);
        this.menuButton.focus();
      } else if (!this.drawer.hidden) {
        this.showDrawer(false);
        this.stepsButton.focus();
      }
    });
    document.addEventListener("click", (event) => {
      const target = event.target as Element;
      if (!this.menu.hidden && !target.closest(".lab-head-menu") && !this.menuButton.contains(target)) this.showMenu(false);
    });
    document.addEventListener("keydown", (event) => {
      if (event.defaultPrevented || !this.layout.open) return;
      if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey || event.code !== "KeyL") return;
      event.preventDefault();
      this.unfold();
    });
    setInterval(() => this.tick(this.store.model), 1_000);
  }

  private keyBar(): HTMLElement {
    const key = (label: string, name: Key, data: () => string): HTMLElement =>
      h("button", {
        type: "button", class: "lab-key", tabindex: "-1", "aria-label": this.t(name),
        // On pointerdown: a click would first move the focus and close the on-screen keyboard.
        onpointerdown: (event) => {
          event.preventDefault();
          this.terminals.press(data());
        },
      }, label);
    const arrow = (c: string) => (): string => (this.terminals.applicationCursor ? `\x1bO${c}` : `\x1b[${c}`);
    return h("div", { class: "lab-keybar", role: "group", "aria-label": this.t("keyBar") },
      key("Esc", "keyEsc", () => "\x1b"),
      key("Tab", "keyTab", () => "\t"),
      key("Ctrl C", "keyCtrlC", () => "\x03"),
      key("Ctrl D", "keyCtrlD", () => "\x04"),
      key("↑", "keyUp", arrow("A")),
      key("↓", "keyDown", arrow("B")),
    );
  }

  private update(model: Model): void {
    const session = model.session;
    if (session && session.id !== this.session) {
      this.session = session.id;
      this.opened = false;
      this.extendable = true;
      this.endedHere = false;
      this.dismissed = "";
      this.replayFailed = "";
      this.shown.clear();
      put(this.notices);
    }
    if (session?.state === "creating") this.opened = false; // a reset removed all terminals
    if (model.phase === "live" || model.phase === "starting") {
      if (!this.layout.open) this.layout.show();
    } else if (model.phase === "idle" || model.phase === "off" || model.phase === "offline" || (model.phase === "over" && this.endedHere)) {
      this.layout.close();
    }
    this.pane.dataset["phase"] = model.phase;
    this.terminals.update(session);
    this.steps.update(model);
    if (!session || session.engine !== "starting") for (const done of this.engineWaiters.splice(0)) done();
    this.drawCover(model);
    this.drawChip(model);
    this.drawNotices(model);
    this.tick(model);
  }

  private connection(state: LinkState): void {
    if (state === "open") {
      clearTimeout(this.linkTimer);
      this.linkTimer = undefined;
      // The event stream used the same network, and its connection may be dead without an error.
      if (this.linkBroken) this.store.renew();
      this.linkBroken = false;
      this.opened = true;
      if (this.wantFocus) {
        this.wantFocus = false;
        this.terminals.focus();
      }
    } else if (state === "exited" || state === "closed") {
      clearTimeout(this.linkTimer);
      this.linkTimer = undefined;
      this.linkBroken = false;
    } else if (this.opened) {
      this.linkTimer ??= setTimeout(() => {
        this.linkBroken = true;
        this.drawChip(this.store.model);
      }, sayBrokenAfter);
    }
    this.drawCover(this.store.model);
    this.drawChip(this.store.model);
  }

  private drawCover(model: Model): void {
    const state = model.session?.state;
    let content: HTMLElement | undefined;
    if (model.phase === "over" && !this.endedHere) {
      content = this.overCard(model);
    } else if (state === "ending") {
      content = h("p", { class: "lab-cover-line" }, h("span", { class: "lab-spinner" }), this.t("ending"));
    } else if (!this.opened && (model.phase === "starting" || model.phase === "live" || model.phase === "looking") && state !== "recovering") {
      content = this.progress(model);
    }
    const kind = content?.dataset["kind"] ?? "";
    const same = content !== undefined && !this.cover.hidden && this.cover.dataset["shown"] === (content.textContent ?? "") + kind;
    this.cover.hidden = content === undefined;
    if (!content || same) return;
    this.cover.dataset["shown"] = (content.textContent ?? "") + kind;
    put(this.cover, content);
  }

  private progress(model: Model): HTMLElement {
    const stage = model.session?.state === "ready" ? 1 : 0;
    const line = (n: number, key: Key): HTMLElement =>
      h("li", { "data-state": n < stage ? "done" : n === stage ? "now" : "next" }, n < stage ? icon("check") : h("span", { class: n === stage ? "lab-spinner" : "lab-dot" }), this.t(key));
    return h("ol", { class: "lab-progress", role: "status", "data-kind": String(stage) }, line(0, "progressCreating"), line(1, "progressTerminal"), line(2, "progressEngine"));
  }

  private overCard(model: Model): HTMLElement {
    const err = model.error;
    const title = err === undefined ? "launchEnded" : this.session === "" || !this.opened ? "launchFailed" : err.code === "gone" ? "launchEnded" : "launchLost";
    const text = err === undefined || err.code === "gone" ? this.t("launchEndedText") : this.sentence(err);
    return h("div", { class: "lab-over", "data-kind": title },
      h("p", { class: "lab-over-title" }, this.t(title)),
      h("p", {}, rich(text)),
      h("div", { class: "lab-over-actions" },
        h("button", { type: "button", class: "lab-button lab-button-main", onclick: () => this.restart() }, this.t(title === "launchFailed" ? "retry" : "startAgain")),
        h("button", { type: "button", class: "lab-button lab-button-quiet", onclick: () => this.layout.close() }, this.t("hidePane")),
      ),
    );
  }

  private restart(): void {
    this.begin(true);
    void this.store.start();
  }

  private drawChip(model: Model): void {
    const session = model.session;
    let key: Key | undefined;
    if (model.phase === "live" && session) {
      if (model.reconnecting || this.linkBroken) key = "reconnecting";
      else if (session.state === "ready" && session.engine === "starting" && this.opened) key = "engineStarting";
      else if (session.state === "ready" && session.engine === "down") key = "engineDown";
    }
    this.chip.hidden = key === undefined;
    if (key !== undefined && this.chip.dataset["key"] !== key) put(this.chip, h("span", { class: "lab-spinner" }), h("span", { class: "lab-status-text" }, this.t(key)));
    this.chip.dataset["key"] = key ?? "";
  }

  private drawNotices(model: Model): void {
    const session = model.session;
    if (session?.state === "recovering") this.dismissed = "";
    this.drawReplay(session);
    this.notice("recovering", session?.state === "recovering" ? { kind: "warn", text: this.t("recovering") } : undefined);
    const why = session?.state === "ready" ? session.notice : undefined;
    this.notice("notice", why && why !== this.dismissed
      ? {
          kind: "warn",
          text: this.t(why === "memory" ? "noticeMemory" : "noticeEnded"),
          dismiss: () => {
            this.dismissed = why;
            this.notice("notice", undefined);
          },
        }
      : undefined);
  }

  /** Shows the progress of replaying finished steps on a new machine. */
  private drawReplay(session: Session | undefined): void {
    const replay = session?.replay;
    const n = (session?.steps ?? []).findIndex((s) => s.anchor === replay?.step) + 1;
    if (!replay) {
      this.notice("replay", undefined);
    } else if (!replay.failed) {
      this.notice("replay", { kind: "info", text: this.t("replaying", { n, done: replay.done, total: replay.total }) });
    } else if (this.replayFailed !== replay.step) {
      this.notice("replay", {
        kind: "warn",
        text: this.t("replayFailed", { n }),
        dismiss: () => {
          this.replayFailed = replay.step;
          this.notice("replay", undefined);
        },
      });
    }
  }

  private tick(model: Model): void {
    const session = model.session;
    if (!session || model.phase !== "live") {
      this.time.textContent = "";
      this.notice("time", undefined);
      return;
    }
    const now = Date.now() + model.skew;
    const left = Math.max(0, Date.parse(session.expires_at) - now);
    const soon = now >= Date.parse(session.warn_at);
    const text = left < 60_000 ? this.t("timeLeftSoon", { sec: Math.ceil(left / 1000) }) : this.t("timeLeft", { min: minutesLeft(left) });
    if (this.time.textContent !== text) put(this.time, icon("clock"), h("span", {}, text));
    this.time.classList.toggle("lab-time-soon", soon);
    this.notice("time", soon && session.state !== "ending"
      ? {
          kind: "warn",
          text: this.t("warnTime", { min: minutesLeft(left) }),
          ...(this.extendable ? { actions: [{ label: this.t("extend"), run: () => void this.extend() }] } : {}),
        }
      : undefined);
  }

  private async extend(): Promise<void> {
    try {
      await this.store.extend();
      const ends = this.store.model.session?.expires_at;
      if (ends) {
        const time = new Date(ends).toLocaleTimeString(this.store.lang === "zh" ? "zh-CN" : "en-GB", { hour: "2-digit", minute: "2-digit" });
        this.announce(this.t("extended", { time }));
      }
    } catch (err) {
      const error = asApiError(err);
      if (error.code === "conflict") this.extendable = false;
      this.error(error);
    }
  }

  private notice(key: string, notice: Notice | undefined): void {
    const before = this.shown.get(key);
    if (before?.text === notice?.text && before?.actions?.length === notice?.actions?.length) return;
    // Do not re-render the other notices: one of them may have the focus.
    const old = this.notices.querySelector(`[data-notice="${key}"]`);
    if (!notice) {
      this.shown.delete(key);
      old?.remove();
      return;
    }
    this.shown.set(key, notice);
    const el = h("div", { class: `lab-notice lab-notice-${notice.kind}`, "data-notice": key },
      h("p", {}, rich(notice.text)),
      ...(notice.actions ?? []).map((a) => h("button", { type: "button", class: "lab-button", onclick: a.run }, a.label)),
      notice.dismiss && h("button", { type: "button", class: "lab-tool", "aria-label": this.t("dismiss"), title: this.t("dismiss"), onclick: notice.dismiss }, icon("close")),
    );
    if (old) old.replaceWith(el);
    else this.notices.append(el);
  }

  private askEnd(): void {
    this.showMenu(false);
    const dialog = h("dialog", { class: "lab-dialog", "aria-labelledby": "lab-end-title", onclose: () => dialog.remove() },
      h("h2", { id: "lab-end-title" }, this.t("endTitle")),
      h("p", {}, this.t("endText")),
      h("div", { class: "lab-dialog-actions" },
        h("button", { type: "button", class: "lab-button lab-button-quiet", autofocus: true, onclick: () => dialog.close() }, this.t("cancel")),
        h("button", {
          type: "button", class: "lab-button lab-button-danger",
          onclick: () => {
            dialog.close();
            void this.end();
          },
        }, this.t("endConfirm")),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  }

  private askReset(): void {
    this.showMenu(false);
    const choice = (key: Key, startOver: boolean): HTMLElement =>
      h("button", {
        type: "button", class: "lab-button",
        onclick: () => {
          dialog.close();
          void this.reset(startOver);
        },
      }, this.t(key));
    const dialog: HTMLDialogElement = h("dialog", { class: "lab-dialog", "aria-labelledby": "lab-reset-title", onclose: () => dialog.remove() },
      h("h2", { id: "lab-reset-title" }, this.t("resetTitle")),
      h("p", {}, this.t("resetText")),
      h("div", { class: "lab-dialog-actions" },
        h("button", { type: "button", class: "lab-button lab-button-quiet", autofocus: true, onclick: () => dialog.close() }, this.t("cancel")),
        choice("resetOver", true),
        choice("resetKeep", false),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
  }

  private async reset(startOver: boolean): Promise<void> {
    try {
      await this.store.reset(startOver);
      this.wantFocus = true;
    } catch (err) {
      this.error(asApiError(err));
    }
  }

  private async restoreImages(): Promise<void> {
    this.showMenu(false);
    this.terminals.focus();
    this.notice("images", { kind: "info", text: this.t("restoring") });
    let done: Notice | undefined;
    try {
      await this.store.restoreImages();
      done = { kind: "info", text: this.t("restored"), dismiss: () => this.notice("images", undefined) };
    } catch (err) {
      this.error(asApiError(err));
    }
    this.notice("images", done);
    if (done) setTimeout(() => this.shown.get("images") === done && this.notice("images", undefined), noticeShownFor);
  }

  private async end(): Promise<void> {
    this.endedHere = true;
    try {
      await this.store.end();
    } catch (err) {
      this.endedHere = false;
      this.error(asApiError(err));
    }
  }

  private showDrawer(on: boolean): void {
    this.drawer.hidden = !on;
    this.stepsButton.setAttribute("aria-expanded", String(on));
    if (on) this.drawer.querySelector("[aria-current=step]")?.scrollIntoView({ block: "nearest" });
  }

  private showMenu(on: boolean): void {
    this.menu.hidden = !on;
    this.menuButton.setAttribute("aria-expanded", String(on));
    if (on) this.menu.querySelector("button")?.focus();
  }

  private toggle(): void {
    if (this.layout.hidden) this.unfold();
    else {
      this.layout.hide();
      (this.layout.mode === "wide" ? this.reopen : this.foldButton).focus();
    }
  }

  private widen(): void {
    this.layout.widen();
    this.terminals.focus();
  }

  private resized(): void {
    // Called from the layout's constructor, before the buttons exist.
    if (!this.foldButton) return;
    const { mode, hidden, open, widened } = this.layout;
    const width = this.t(widened ? "narrowPane" : "widenPane");
    this.widenButton.setAttribute("aria-label", width);
    this.widenButton.title = width;
    this.widenButton.setAttribute("aria-pressed", String(widened));
    this.reopen.hidden = !(open && hidden && mode === "wide");
    const words = this.t(hidden ? "showPane" : "hidePane");
    this.foldButton.setAttribute("aria-label", words);
    this.foldButton.title = words;
    this.foldButton.setAttribute("aria-expanded", String(!hidden));
  }

  private resetTerminal(): void {
    this.showMenu(false);
    this.terminals.resetModes();
  }

  private toggleReader(button: HTMLElement): void {
    this.terminals.toggleScreenReader();
    this.labelReader(button);
  }

  private labelReader(button: HTMLElement): void {
    button.textContent = this.t(this.terminals.screenReader ? "screenReaderOff" : "screenReaderOn");
  }

  private shortcut(event: KeyboardEvent): boolean {
    const act = { KeyL: () => this.steps.focusText(), BracketLeft: () => this.terminals.step(-1), BracketRight: () => this.terminals.step(1) }[event.code];
    if (!act) return false;
    event.preventDefault();
    if (event.type === "keydown") act();
    return true;
  }
}
