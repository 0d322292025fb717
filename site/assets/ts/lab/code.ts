// Run and save buttons on the text's code blocks, and the session's variables in the text.

import { h, icon, put } from "./dom.js";
import type { Translator } from "./i18n.js";

export interface Runner {
  /** Tells whether a block could run now. */
  ready(): boolean;
  run(node: string | undefined, id: string, text: string): Promise<void>;
  save(node: string | undefined, id: string, path: string, content: string): Promise<void>;
  /** Offers to start the lab. */
  offerStart(): void;
}

const shownFor = 1_600;

export class CodeBlocks {
  private readonly buttons: HTMLButtonElement[] = [];

  constructor(
    private readonly t: Translator,
    private readonly runner: Runner,
  ) {}

  /** arm gives every run and save block its button. On pages without a lab server it is not called. */
  arm(): void {
    if (this.buttons.length > 0) return;
    for (const block of document.querySelectorAll<HTMLElement>("[data-run], [data-save]")) {
      const code = block.querySelector("pre code, pre");
      if (!code) continue;
      const path = block.dataset["save"];
      const words = path !== undefined ? this.t("save") : this.t("run");
      const button = h("button", {
        type: "button",
        class: "lab-run",
        "aria-label": path !== undefined ? this.t("saveLabel", { path }) : this.t("runLabel"),
        // The focus stays in the terminal: after a double click, Enter would run the block once more.
        onmousedown: (event) => event.preventDefault(),
        onclick: () => void this.clicked(button, block, code, path),
      }, icon(path !== undefined ? "save" : "play"), h("span", { class: "lab-run-word" }, words));
      block.classList.add("lab-runnable");
      const copy = block.querySelector("[data-copy]");
      block.append(h("div", { class: "lab-actions" }, copy ?? undefined, button));
      this.buttons.push(button);
    }
  }

  update(variables: Record<string, string> | undefined): void {
    for (const el of document.querySelectorAll<HTMLElement>("[data-var]")) {
      const name = el.dataset["var"] ?? "";
      const value = variables?.[name] ?? name;
      if (el.textContent !== value) el.textContent = value;
    }
    for (const button of this.buttons) {
      button.title = this.runner.ready() ? "" : this.t("runStart");
    }
  }

  private async clicked(button: HTMLButtonElement, block: HTMLElement, code: Element, path: string | undefined): Promise<void> {
    if (!this.runner.ready()) {
      this.runner.offerStart();
      return;
    }
    if (button.dataset["state"] === "busy") return;
    button.dataset["state"] = "busy";
    // Unique for each click, on this and every other page: the server types an id once.
    const id = `${block.dataset["block"] ?? "block"}-${unique()}`;
    const text = textOf(code);
    const node = block.dataset["node"] || undefined;
    try {
      if (path !== undefined) await this.runner.save(node, id, path, text);
      else await this.runner.run(node, id, text);
      this.say(button);
    } catch {
      delete button.dataset["state"];
    }
  }

  private say(button: HTMLButtonElement): void {
    const word = button.querySelector(".lab-run-word");
    const before = word?.textContent ?? "";
    button.dataset["state"] = "sent";
    put(word!, this.t("sent"));
    setTimeout(() => {
      put(word!, before);
      delete button.dataset["state"];
    }, shownFor);
  }
}

/** textOf is what a block runs: of a console session only the commands, else everything. */
function textOf(code: Element): string {
  const commands = code.querySelectorAll(".command");
  if (commands.length === 0) return code.textContent ?? "";
  return [...commands].map((c) => c.textContent ?? "").join("\n");
}

function unique(): string {
  // randomUUID needs https; this does not.
  return [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
}
