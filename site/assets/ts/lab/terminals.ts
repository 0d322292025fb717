// The terminal tabs of the pane. They follow the WAI-ARIA tabs pattern: arrow keys switch tabs,
// Delete closes one.

import { ApiError, asApiError, type Session } from "./api.js";
import { Block } from "./block.js";
import { h, icon, put } from "./dom.js";
import { TerminalLink, type LinkState } from "./link.js";
import type { Translator } from "./i18n.js";
import { mustAsk, type Front } from "./marks.js";
import type { XtermScreen } from "./screen.js";
import type { SessionStore } from "./session.js";
import { saveCommand, typed } from "./text.js";
import { kept, recall, remember, tabbed } from "./storage.js";

interface Tab {
  id: string;
  node: string;
  tab: HTMLElement;
  close: HTMLButtonElement;
  panel: HTMLElement;
  host: HTMLElement;
  screen: XtermScreen | undefined;
  link: TerminalLink | undefined;
  block: Block | undefined; // the block whose commands are being typed
}

/** What the learner can choose after a command was not typed. */
export interface Choices {
  elsewhere(): void;
  anyway(): void;
  clear(): void;
}

const newShellWait = 8_000;
const commandWait = 4_000; // how long to wait for a running command before asking
const reachTimeout = 3_000;

export interface TerminalsEvents {
  /** A command was not typed, because it would not reach an empty prompt. */
  occupied(front: Front, choices: Choices): void;
  /** A command was not typed, because the connection broke. again retries it. */
  undelivered(text: string, again: () => void): void;
  /** A command was typed or chosen, so those notices can go. */
  settled(): void;

  /** The connection of the visible terminal changed. */
  connection(state: LinkState): void;
  shortcut(event: KeyboardEvent): boolean;
  error(err: ApiError): void;
}

const readerKey = "labd.screen-reader";

export class Terminals {
  readonly bar = h("div", { class: "lab-tabs" });
  readonly body = h("div", { class: "lab-terminals" });
  private readonly list: HTMLElement;
  private readonly add: HTMLButtonElement;
  private readonly nodeMenu: HTMLElement;
  private tabs: Tab[] = [];
  private active: Tab | undefined;
  private session: Session | undefined;
  private reader = recall(kept, readerKey) === "on";
  private readonly loading = new Map<string, Promise<Tab>>();

  constructor(
    private readonly store: SessionStore,
    private readonly t: Translator,
    private readonly events: TerminalsEvents,
  ) {
    this.list = h("div", { class: "lab-tablist", role: "tablist", "aria-label": t("terminals"), onkeydown: (e) => this.tabKey(e as KeyboardEvent) });
    this.add = h("button", { type: "button", class: "lab-tool", title: t("newTerminal"), "aria-label": t("newTerminal"), onclick: () => this.addClicked() }, icon("plus"));
    this.nodeMenu = h("div", { class: "lab-menu lab-node-menu", hidden: true, role: "group", "aria-label": t("newTerminal") });
    this.bar.append(this.list, h("div", { class: "lab-menu-anchor" }, this.add, this.nodeMenu));
    window.addEventListener("online", () => this.retryNow());
    window.addEventListener("offline", () => {
      // Only a hint: a server in the local network may still answer.
      for (const tab of this.tabs) tab.link?.suspect();
    });
    window.addEventListener("focus", () => this.active?.link?.claim());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.retryNow();
    });
    document.addEventListener("click", (event) => {
      if (!this.nodeMenu.hidden && !(event.target as Element).closest(".lab-menu-anchor")) this.nodeMenu.hidden = true;
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.retheme());
    new MutationObserver(() => this.retheme()).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme", "class"],
    });
  }

  get screenReader(): boolean {
    return this.reader;
  }

  toggleScreenReader(): void {
    this.reader = !this.reader;
    remember(kept, readerKey, this.reader ? "on" : "off");
    for (const tab of this.tabs) tab.screen?.setScreenReader(this.reader);
  }

  /** Follows the session. Terminals of a session that already runs become tabs. */
  update(session: Session | undefined): void {
    if (session?.id !== this.session?.id) this.clear();
    this.session = session;
    this.add.hidden = session?.state !== "ready";
    if (!session) return;
    const node = session.nodes?.[0]?.name;
    if ((session.state !== "ready" && session.state !== "recovering") || node === undefined) return;
    if (this.tabs.length > 0) return;
    const known = (session.terminals ?? []).filter((x) => x.id !== "");
    for (const x of known) this.make(x.id, x.node);
    if (this.tabs.length === 0) this.make("t1", node);
    const last = recall(tabbed, this.key());
    this.show(this.tabs.find((x) => x.id === last) ?? this.tabs[0]!, false);
  }

  /**
   * Types a block's commands into a terminal of the node. Resolves when the first one was typed.
   */
  async run(node: string | undefined, id: string, text: string): Promise<void> {
    const tab = await this.open(this.forNode(node));
    await this.offer(tab, text, (to) => this.type(to, id, text));
  }

  async save(node: string | undefined, id: string, path: string, content: string): Promise<void> {
    const tab = await this.open(this.forNode(node));
    const command = (to: Tab): string => saveCommand(path, content, to.screen?.bracketedPaste ?? false);
    await this.offer(tab, path, (to) => this.whole(to, id, command(to), path));
  }

  /** Types if the shell is at an empty prompt. Otherwise asks the learner and rejects. */
  private async offer(tab: Tab, text: string, type: (tab: Tab) => Promise<void>): Promise<void> {
    this.show(tab, true);
    tab.screen?.scrollToBottom();
    const front = await this.front(tab);
    if (!mustAsk(front, text)) {
      await type(tab);
      this.events.settled();
      return;
    }
    const chosen = (act: () => Promise<void>) => (): void => {
      this.events.settled();
      act().catch(() => {}); // the error was shown already
    };
    this.events.occupied(front, {
      elsewhere: chosen(async () => type(await this.fresh(tab.node))),
      anyway: chosen(() => {
        this.show(tab, true);
        return type(tab);
      }),
      clear: chosen(async () => {
        this.show(tab, true);
        const asked = tab.screen?.asked();
        tab.link?.input("\x03");
        await asked;
        await type(tab);
      }),
    });
    throw new ApiError("occupied", "");
  }

  /** Returns what would receive a command. Waits a moment for a running command to end. */
  private async front(tab: Tab): Promise<Front> {
    const end = Date.now() + commandWait;
    for (;;) {
      const front = tab.block ? "program" : (tab.screen?.front ?? "free");
      const left = end - Date.now();
      if (front !== "program" || left <= 0 || !tab.screen) return front;
      await Promise.race([tab.screen.asked(), new Promise((late) => setTimeout(late, left))]);
    }
  }

  /** Opens another terminal and waits for its prompt. */
  private async fresh(node: string): Promise<Tab> {
    const tab = this.make(this.freeID(), node);
    this.show(tab, true);
    await this.open(tab);
    if (!tab.screen?.marked || tab.screen.front !== "free") {
      await Promise.race([tab.screen?.asked(), new Promise((late) => setTimeout(late, newShellWait))]);
    }
    return tab;
  }

  private async type(tab: Tab, id: string, text: string): Promise<void> {
    const { screen, link } = tab;
    if (!screen || !link) return;
    // other programs print no marks
    if (screen.front !== "free") return this.whole(tab, id, text, text);
    await this.block(tab, new Block(id, text, screen, (part, line) => link.run(part, line)));
  }

  /** Types a block's next line, then the other lines in the background. */
  private async block(tab: Tab, block: Block): Promise<void> {
    const again = (): Promise<void> => this.block(tab, block);
    const asked = tab.screen!.asked();
    await this.delivered(block.line(), block.rest, again);
    if (block.rest === "") return;
    tab.block = block;
    const others = block.others(asked).finally(() => {
      if (tab.block === block) tab.block = undefined;
    });
    this.delivered(others, block.rest, again).catch(() => {});
  }

  /** Forgets a block whose shell has ended. */
  private stopBlock(tab: Tab): void {
    tab.block?.stop();
    tab.block = undefined;
  }

  /** Types text in one piece. */
  private async whole(tab: Tab, id: string, text: string, name: string): Promise<void> {
    const run = tab.link?.run(id, typed(text, tab.screen?.bracketedPaste ?? false));
    if (run) await this.delivered(run, name, () => this.whole(tab, id, text, name));
  }

  /** Passes errors on. If the text did not reach the server, offers to retry. */
  private async delivered(typing: Promise<unknown>, text: string, again: () => Promise<void>): Promise<void> {
    try {
      await typing;
    } catch (err) {
      if (asApiError(err).code === "undelivered") {
        this.events.undelivered(text, () => {
          this.events.settled();
          this.focus();
          again().catch(() => {});
        });
      }
      throw err;
    }
  }

  /** Resets the modes of the visible terminal. */
  resetModes(): void {
    this.active?.screen?.resetModes();
    this.focus();
  }

  /** Types a key of the touch key bar. */
  press(data: string): void {
    this.active?.link?.input(data);
    this.active?.screen?.focus();
  }

  get applicationCursor(): boolean {
    return this.active?.screen?.applicationCursor ?? false;
  }

  focus(): void {
    this.active?.screen?.focus();
  }

  fit(): void {
    this.active?.screen?.fit();
  }

  retryNow(): void {
    for (const tab of this.tabs) tab.link?.retryNow();
  }

  step(by: number): void {
    if (!this.active || this.tabs.length < 2) return;
    const i = this.tabs.indexOf(this.active);
    this.show(this.tabs[(i + by + this.tabs.length) % this.tabs.length]!, true);
  }

  private retheme(): void {
    // Wait until the browser has applied the new theme's styles.
    requestAnimationFrame(() => {
      for (const tab of this.tabs) tab.screen?.retheme();
    });
  }

  private key(): string {
    return `labd.terminal.${this.session?.id ?? ""}`;
  }

  private clear(): void {
    for (const tab of this.tabs) this.remove(tab);
    this.tabs = [];
    this.active = undefined;
    this.loading.clear();
    put(this.list);
    put(this.body);
  }

  private forNode(node: string | undefined): Tab {
    const nodes = (this.session?.nodes ?? []).map((n) => n.name);
    const want = node !== undefined && nodes.includes(node) ? node : (this.active?.node ?? nodes[0] ?? "");
    if (this.active?.node === want) return this.active;
    return this.tabs.find((x) => x.node === want) ?? this.make(this.freeID(), want);
  }

  private freeID(): string {
    const taken = new Set(this.tabs.map((x) => x.id));
    let n = 1;
    while (taken.has(`t${n}`)) n++;
    return `t${n}`;
  }

  private addClicked(): void {
    const nodes = (this.session?.nodes ?? []).map((n) => n.name);
    if (nodes.length <= 1) {
      this.show(this.make(this.freeID(), nodes[0] ?? ""), true);
      return;
    }
    put(
      this.nodeMenu,
      ...nodes.map((node) =>
        h("button", {
          type: "button",
          onclick: () => {
            this.nodeMenu.hidden = true;
            this.show(this.make(this.freeID(), node), true);
          },
        }, this.t("newTerminalOn", { node })),
      ),
    );
    this.nodeMenu.hidden = !this.nodeMenu.hidden;
    if (!this.nodeMenu.hidden) this.nodeMenu.querySelector("button")?.focus();
  }

  private make(id: string, node: string): Tab {
    const panelID = `lab-terminal-${id}`;
    const name = this.t("terminalName", { node, n: id.replace(/^t/, "") });
    const host = h("div", { class: "lab-screen" });
    const tab: Tab = {
      id,
      node,
      tab: h("div", {
        class: "lab-tab",
        role: "tab",
        id: `${panelID}-tab`,
        "aria-controls": panelID,
        "aria-selected": "false",
        "aria-label": name,
        tabindex: "-1",
        onclick: () => this.show(tab, true),
      }, h("span", { class: "lab-tab-name" }, node), h("span", { class: "lab-tab-number" }, id.replace(/^t/, ""))),
      close: h("button", {
        type: "button",
        class: "lab-tab-close",
        tabindex: "-1",
        "aria-label": this.t("closeTerminal", { name }),
        title: this.t("closeTerminal", { name }),
        onclick: (event) => {
          event.stopPropagation();
          void this.closeTab(tab);
        },
      }, icon("close")),
      panel: h("div", { class: "lab-terminal", role: "tabpanel", id: panelID, "aria-labelledby": `${panelID}-tab`, hidden: true }, host),
      host,
      screen: undefined,
      link: undefined,
      block: undefined,
    };
    this.tabs.push(tab);
    this.list.append(h("div", { class: "lab-tab-wrap", role: "presentation" }, tab.tab, tab.close));
    this.body.append(tab.panel);
    this.count();
    return tab;
  }

  private count(): void {
    for (const tab of this.tabs) tab.close.hidden = this.tabs.length < 2;
  }

  private show(tab: Tab, focus: boolean): void {
    this.active = tab;
    for (const x of this.tabs) {
      const on = x === tab;
      x.panel.hidden = !on;
      x.tab.setAttribute("aria-selected", String(on));
      x.tab.tabIndex = on ? 0 : -1;
    }
    remember(tabbed, this.key(), tab.id);
    tab.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.events.connection(tab.link?.state ?? "connecting");
    void this.open(tab).then(() => {
      if (this.active !== tab) return;
      tab.screen?.fit();
      if (focus) tab.screen?.focus();
    });
  }

  /** Loads xterm.js and connects, once per tab. */
  private open(tab: Tab): Promise<Tab> {
    let opening = this.loading.get(tab.id);
    if (!opening) {
      opening = this.connect(tab);
      this.loading.set(tab.id, opening);
    }
    return opening;
  }

  private async connect(tab: Tab): Promise<Tab> {
    const session = this.session?.id ?? "";
    const { XtermScreen } = await import("./screen.js");
    await document.fonts.ready;
    if (!this.tabs.includes(tab)) return tab;
    const screen = new XtermScreen(tab.host, tab.tab.getAttribute("aria-label") ?? "", this.reader, this.t("outputLost"), {
      input: (data) => {
        if (link.state === "exited") {
          if (data === "\r") link.start();
          return;
        }
        if (data === "\x03") tab.block?.stop();
        link.input(data);
      },
      binary: (data) => link.binary(data),
      resize: (cols, rows) => link.resize(cols, rows),
      restarted: () => this.stopBlock(tab),
      shortcut: (event) => this.events.shortcut(event),
    });
    const link = new TerminalLink({
      screen,
      ticket: async (size) => (await this.store.api.openTerminal(session, { id: tab.id, node: tab.node, ...size })).ticket,
      url: (query) => this.store.api.terminalURL(session, tab.id, query),
      inUse: () => this.active === tab && !document.hidden && document.hasFocus(),
      now: () => Date.now() + this.store.model.skew,
      reachable: () => this.store.api.reachable(reachTimeout),
      onState: (state) => {
        tab.tab.dataset["state"] = state;
        if (state === "exited") {
          this.stopBlock(tab);
          screen.note(this.t("shellEnded"));
        }
        if (this.active === tab) this.events.connection(state);
      },
      onLost: (err) => {
        if (err.code !== "too_many") {
          void this.store.lost();
          return;
        }
        this.events.error(err);
        if (this.tabs.length > 1) this.drop(tab);
      },
    });
    tab.screen = screen;
    tab.link = link;
    link.start();
    return tab;
  }

  private async closeTab(tab: Tab): Promise<void> {
    if (this.tabs.length < 2) return;
    const session = this.session?.id ?? "";
    this.drop(tab);
    this.focus(); // the focused button was removed
    try {
      await this.store.api.closeTerminal(session, tab.id);
    } catch (err) {
      const error = asApiError(err);
      if (error.code !== "gone" && error.code !== "not_found") this.events.error(error);
    }
  }

  private drop(tab: Tab): void {
    const i = this.tabs.indexOf(tab);
    this.remove(tab);
    this.tabs = this.tabs.filter((x) => x !== tab);
    this.count();
    const next = this.tabs[Math.max(0, i - 1)];
    if (this.active === tab && next) this.show(next, true);
  }

  private remove(tab: Tab): void {
    tab.link?.close();
    tab.screen?.dispose();
    tab.panel.remove();
    tab.tab.parentElement?.remove();
    this.loading.delete(tab.id);
  }

  private tabKey(event: KeyboardEvent): void {
    if (!this.active) return;
    const i = this.tabs.indexOf(this.active);
    let next: Tab | undefined;
    switch (event.key) {
      case "ArrowLeft": next = this.tabs[(i - 1 + this.tabs.length) % this.tabs.length]; break;
      case "ArrowRight": next = this.tabs[(i + 1) % this.tabs.length]; break;
      case "Home": next = this.tabs[0]; break;
      case "End": next = this.tabs[this.tabs.length - 1]; break;
      case "Enter":
      case " ": event.preventDefault(); this.focus(); return;
      case "Delete": event.preventDefault(); void this.closeTab(this.active).then(() => this.active?.tab.focus()); return;
      default: return;
    }
    event.preventDefault();
    if (next) {
      this.show(next, false);
      next.tab.focus();
    }
  }
}
