// Where a terminal is in its output: pure bookkeeping, so that it can be tested byte by byte.
//
// Output bytes have sequence numbers. "received" counts what came over the WebSocket, "drawn" what the terminal has
// parsed. A connection begins with hello(start, end): bytes below end are history, whose queries were answered long ago.

/** How often drawn bytes are acknowledged; the server's window is 1 MiB, so it never runs dry. */
export const ackEvery = 256 * 1024;

export type Resume = "continue" | "gap" | "restart";

export interface Piece {
  data: Uint8Array;
  /** Sequence number after the piece. */
  end: number;
  /** Which shell it is of: a restart begins a new one, and late news of the old one must not count. */
  shell: number;
}

export class OutputCursor {
  private received = -1;
  private drawnTo = -1;
  private historyEnd = 0;
  private acked = 0;
  private shell = 0;

  /** The sequence number to ask for on the next connection; -1 wants the whole scrollback. */
  get from(): number {
    return this.received;
  }

  /** True until the last byte of history has been drawn. */
  get replaying(): boolean {
    return this.drawnTo < this.historyEnd;
  }

  /**
   * hello begins a connection. "gap": output between was lost. "restart": the numbers went back, so this is another
   * shell, and the screen must be cleared.
   */
  hello(start: number, end: number): Resume {
    const before = this.received;
    this.received = start;
    this.historyEnd = end;
    this.acked = start;
    if (before >= 0 && start >= before) return start > before ? "gap" : "continue";
    // Bytes of the last connection that still wait to be drawn keep their place above; here there are none.
    this.drawnTo = start;
    this.shell++;
    return before < 0 ? "continue" : "restart";
  }

  /** receive counts bytes in, and cuts them where history ends, so that each piece is wholly history or wholly live. */
  receive(data: Uint8Array): Piece[] {
    const start = this.received;
    this.received += data.length;
    const cut = this.historyEnd - start;
    if (cut <= 0 || cut >= data.length) return [{ data, end: this.received, shell: this.shell }];
    return [
      { data: data.subarray(0, cut), end: this.historyEnd, shell: this.shell },
      { data: data.subarray(cut), end: this.received, shell: this.shell },
    ];
  }

  /** drawn notes that the terminal parsed a piece. It returns the number to acknowledge when that is due. */
  drawn(piece: Piece): number | undefined {
    if (piece.shell !== this.shell) return undefined;
    if (piece.end > this.drawnTo) this.drawnTo = piece.end;
    if (this.drawnTo - this.acked < ackEvery) return undefined;
    this.acked = this.drawnTo;
    return this.acked;
  }

  /** forget makes the next connection ask for everything. */
  forget(): void {
    this.received = -1;
  }
}

// What terminals answer to queries: device attributes, status and cursor position, modes, window size, keyboard flags,
// and the string answers (DCS, OSC). Shift+F3 looks like a cursor position; while history is replayed it is taken for one.
const answer = /^(?:\x1b\[[?>=]?[\d;]*(?:\$y|[cnRt])|\x1b\[\?\d*u|\x1b[\]P][^\x07\x1b]*(?:\x07|\x1b\\))+$/;

/** isAnswer tells a terminal's own answers from what a learner types. */
export function isAnswer(data: string): boolean {
  return answer.test(data);
}

const delays = [100, 250, 500, 1000, 2000, 3000];

/** backoff is the wait before try n (from 0), in ms. jitter in [0,1) keeps a class from coming back in one instant. */
export function backoff(attempt: number, jitter: number): number {
  const base = delays[Math.min(attempt, delays.length - 1)] ?? 3000;
  return Math.round(base * (1 + 0.3 * jitter));
}

/** frames cuts input into frames the server takes. */
export function frames(data: Uint8Array, limit: number): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let i = 0; i < data.length; i += limit) out.push(data.subarray(i, i + limit));
  return out;
}
