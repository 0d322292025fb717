// Adds Run and Save buttons to code blocks, and fills in the session's variables.

import { h, icon, put } from "./dom.js";
import type { Translator } from "./i18n.js";

export interface Runner {
  /** Reports whether a block can be run now. */
  ready(): boolean;
  run(node: string | undefined, id: string, text: string): Promise<void>;
  save(node: string | undefined, id: string, path: string, content: string): Promise<void>;
  /** Shows a dialog that offers to start the lab. */
  offerStart(): void;
}

const shownFor = 1_600;

export class CodeBlocks {
  private readonly buttons: HTMLButtonElement[] = [];

  constructor(
    private readonly t: Translator,
    private readonly runner: Runner,
  ) {}

  /** Adds the buttons. Not called on pages without a lab server. */
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
        // Keep the focus in the terminal. Otherwise Enter after a double click would run the block
        // again.
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
    // Unique per click in all pages, because the server types each id only once.
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

/** Returns the text to run: the commands of a console session, otherwise the whole block. */
function textOf(code: Element): string {
  const commands = code.querySelectorAll(".command");
  if (commands.length === 0) return code.textContent ?? "";
  return [...commands].map((c) => c.textContent ?? "").join("\n");
}

function unique(): string {
  // crypto.randomUUID is only available over https.
  return [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, "0")).join("");
}
