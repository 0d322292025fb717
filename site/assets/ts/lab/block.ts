// Types the commands of a code block into a shell one at a time. Each command is typed when the
// shell prints a prompt, so every output appears below its command, and no command reads the
// following ones as its input.

import { typed } from "./text.js";

/** What Block needs to know about the shell in a terminal. */
export interface Shell {
  readonly marked: boolean;
  readonly bracketedPaste: boolean;
  readonly status: number;
  readonly front: string;
  asked(): Promise<"prompt" | "more">;
}

const interrupted = 130; // bash's exit status after Ctrl+C

export class Block {
  private readonly lines: string[];
  private next = 0;
  private stopped = false;

  /** send types text. It types nothing if the id was used before. */
  constructor(
    private readonly id: string,
    text: string,
    private readonly shell: Shell,
    private readonly send: (id: string, text: string) => Promise<boolean>,
  ) {
    const body = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "");
    // without OSC 133 marks the whole block is one paste
    this.lines = shell.marked ? body.split("\n") : [body];
  }

  /** The lines that were not typed yet. */
  get rest(): string {
    return this.lines.slice(this.next).join("\n");
  }

  /** Stops typing, for example because the learner pressed Ctrl+C. */
  stop(): void {
    this.stopped = true;
  }

  /**
   * Types the remaining lines. Stops early if a command was interrupted or the command line is not
   * empty.
   */
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

  /** Types the next line. Can be called again after a failure, because each line has its own id. */
  async line(): Promise<void> {
    const text = this.lines[this.next] ?? "";
    const paste = this.shell.bracketedPaste;
    // Outside a paste, readline treats a tab as a request to complete a name.
    const ready = paste && text.includes("\t") && !text.includes("\n") ? `\x1b[200~${text}\x1b[201~\n` : typed(text, paste);
    await this.send(this.lines.length === 1 ? this.id : `${this.id}.${this.next}`, ready);
    this.next++;
  }
}
