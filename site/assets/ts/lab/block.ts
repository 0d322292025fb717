// Types the commands of a block one after another, each when the shell asks for it: every output stands below its command, and no
// command reads the rest of the block as its input.

import { typed } from "./text.js";

/** Shell is what a terminal knows of the shell in it. */
export interface Shell {
  readonly marked: boolean;
  readonly bracketedPaste: boolean;
  readonly status: number;
  readonly front: string;
  asked(): Promise<"prompt" | "more">;
}

const interrupted = 130; // exit status after Ctrl+C

export class Block {
  private readonly lines: string[];
  private next = 0;
  private stopped = false;

  /** send types text once under an id. */
  constructor(
    private readonly id: string,
    text: string,
    private readonly shell: Shell,
    private readonly send: (id: string, text: string) => Promise<boolean>,
  ) {
    const body = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "");
    this.lines = shell.marked ? body.split("\n") : [body]; // without marks, all of it is one paste
  }

  /** What was not typed yet. */
  get rest(): string {
    return this.lines.slice(this.next).join("\n");
  }

  /** stop keeps the rest from being typed, as when the learner pressed Ctrl+C. */
  stop(): void {
    this.stopped = true;
  }

  /** others types the other commands. It ends early when a command was interrupted, or something else is on the line. */
  async others(asked: Promise<"prompt" | "more">): Promise<void> {
    while (this.next < this.lines.length) {
      const place = await asked;
      if (this.stopped) return;
      if (place === "prompt") {
        while (this.lines[this.next]?.trim() === "") this.next++;
        if (this.next === this.lines.length || this.shell.status === interrupted || this.shell.front !== "free") return;
      }
      asked = this.shell.asked();
      await this.line();
    }
  }

  /** line types the next command. After a failure it can be called again: each command has an id of its own. */
  async line(): Promise<void> {
    const text = this.lines[this.next] ?? "";
    const paste = this.shell.bracketedPaste;
    // Typed into a line editor, a tab would complete names.
    const ready = paste && text.includes("\t") && !text.includes("\n") ? `\x1b[200~${text}\x1b[201~\n` : typed(text, paste);
    await this.send(this.lines.length === 1 ? this.id : `${this.id}.${this.next}`, ready);
    this.next++;
  }
}
