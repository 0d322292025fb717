// Position of a terminal in its output, without I/O so that tests can go byte by byte.
//
// Output bytes have sequence numbers. "received" counts bytes from the WebSocket, "drawn" those
// that xterm has parsed. A connection begins with hello(start, end): bytes below end are history,
// whose queries were answered before.

/** Bytes between two acks. The server's window is 1 MiB, so it never runs out. */
export const ackEvery = 256 * 1024;

export type Resume = "continue" | "gap" | "restart";

export interface Piece {
  data: Uint8Array;
  /** Sequence number of the byte after the piece. */
  end: number;
  /** The shell that printed it. Acks of an earlier shell's output are ignored. */
  shell: number;
}

export class OutputCursor {
  private received = -1;
  private drawnTo = -1;
  private historyEnd = 0;
  private acked = 0;
  private shell = 0;

  /** The sequence number to request on the next connection; -1 for the whole scrollback. */
  get from(): number {
    return this.received;
  }

  /** True until all history has been drawn. */
  get replaying(): boolean {
    return this.drawnTo < this.historyEnd;
  }

  /**
   * Begins a connection. Returns "gap" if output was lost, and "restart" if the numbers went back:
   * then it is another shell and the screen must be cleared.
   */
  hello(start: number, end: number): Resume {
    const before = this.received;
    this.received = start;
    this.historyEnd = end;
    this.acked = start;
    if (before >= 0 && start >= before) return start > before ? "gap" : "continue";
    // On "continue" and "gap", bytes that are not drawn yet keep drawnTo as it is. Here there are
    // none.
    this.drawnTo = start;
    this.shell++;
    return before < 0 ? "continue" : "restart";
  }

  /**
   * Counts received bytes and splits them where history ends, so that each piece is either history
   * or live.
   */
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

  /** Call when xterm has parsed a piece. Returns the number to acknowledge if an ack is due. */
  drawn(piece: Piece): number | undefined {
    if (piece.shell !== this.shell) return undefined;
    if (piece.end > this.drawnTo) this.drawnTo = piece.end;
    if (this.drawnTo - this.acked < ackEvery) return undefined;
    this.acked = this.drawnTo;
    return this.acked;
  }

  /** Makes the next connection request the whole scrollback. */
  forget(): void {
    this.received = -1;
  }
}

// Replies of terminals to queries: device attributes, status, cursor position, modes, window size,
// keyboard flags, DCS and OSC strings. Shift+F3 has the form of a cursor position, so it is ignored
// while history is replayed.
const answer = /^(?:\x1b\[[?>=]?[\d;]*(?:\$y|[cnRt])|\x1b\[\?\d*u|\x1b[\]P][^\x07\x1b]*(?:\x07|\x1b\\))+$/;

/** Reports whether data is a terminal's reply to a query and not a key. */
export function isAnswer(data: string): boolean {
  return answer.test(data);
}

const delays = [100, 250, 500, 1000, 2000, 3000];

/**
 * Returns the wait before attempt n (from 0) in ms. jitter in [0,1) spreads the reconnects of a
 * class.
 */
export function backoff(attempt: number, jitter: number): number {
  const base = delays[Math.min(attempt, delays.length - 1)] ?? 3000;
  return Math.round(base * (1 + 0.3 * jitter));
}

/** Splits input into frames of the size that the server accepts. */
export function frames(data: Uint8Array, limit: number): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (let i = 0; i < data.length; i += limit) out.push(data.subarray(i, i + limit));
  return out;
}
