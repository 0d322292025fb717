// The WebSocket of one terminal. It reconnects, requests only the output that was missed, and
// repeats a Run until the server confirms it or its deadline has passed. The terminal emulator is
// behind the Screen interface.

import { ApiError, asApiError } from "./api.js";
import { Pulse } from "./pulse.js";
import { OutputCursor, backoff, frames, isAnswer } from "./stream.js";

const protocol = "labd.terminal.v1";
const frameLimit = 32 * 1024; // the server accepts up to 64 KiB
const helloTimeout = 10_000;
const heldLimit = 64 * 1024; // bytes typed while disconnected
const heldFor = 10_000; // older input is dropped: the learner has probably given it up
const runFor = 10_000; // the deadline of a Run; later it is offered again instead of being typed
const sizeEvery = 2_000; // how often the size is repeated, because another page may have changed it

export interface Screen {
  write(data: Uint8Array, drawn: () => void): void;
  /** Clears the screen for a new shell. */
  reset(): void;
  /** Notes that some output was lost. */
  gap(): void;
  size(): { cols: number; rows: number };
}

interface Size {
  cols: number;
  rows: number;
}

export type LinkState = "connecting" | "open" | "waiting" | "exited" | "closed";

export interface LinkOptions {
  screen: Screen;
  /** Starts the shell if necessary, and requests a ticket for one WebSocket. */
  ticket(size: Size): Promise<string>;
  url(query: { ticket: string; from: number } & Size): string;
  /** Whether this page has the focus. Pages in the background do not change the shell's size. */
  inUse(): boolean;
  /** The server's time in ms since 1970. */
  now(): number;
  /** Sends an HTTP request to find out whether the server answers. */
  reachable(): Promise<boolean>;
  onState(state: LinkState): void;
  /** The session has ended, or the server's refusal is final. */
  onLost(err: ApiError): void;
  /** Replaces WebSocket in tests. */
  socket?: (url: string, protocol: string) => WebSocket;
}

interface Run {
  id: string;
  text: string;
  before: number; // deadline in the server's time
  timer: ReturnType<typeof setTimeout>;
  done: (fresh: boolean) => void;
  failed: (err: ApiError) => void;
}

export class TerminalLink {
  state: LinkState = "connecting";
  private readonly cursor = new OutputCursor();
  private readonly runs = new Map<string, Run>();
  private held: { data: Uint8Array; at: number }[] = [];
  private heldBytes = 0;
  private ws: WebSocket | undefined;
  private attempt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private generation = 0;
  private greeted = false;
  private sentSize = "";
  private sizedAt = 0;
  private readonly pulse: Pulse;

  constructor(private readonly options: LinkOptions) {
    this.pulse = new Pulse({
      ask: () => this.control({ type: "ping" }),
      reachable: () => options.reachable(),
      dead: () => this.lost(1006),
    });
  }

  /** Connects. After "exited" the server starts a new shell. */
  start(): void {
    if (this.state === "exited") {
      this.cursor.forget();
      this.options.screen.reset();
    }
    this.attempt = 0;
    void this.connect();
  }

  /** Reconnects immediately instead of waiting, for example when the network is back. */
  retryNow(): void {
    if (this.state === "waiting") void this.connect();
  }

  /** Pings the server now, for example because the browser reports that it is offline. */
  suspect(): void {
    this.pulse.suspect();
  }

  close(): void {
    this.setState("closed");
    this.drop();
  }

  /** Sends input: keys, pastes, and the terminal's replies to queries. */
  input(data: string): void {
    if (isAnswer(data) && (this.cursor.replaying || !this.greeted)) return;
    this.bytes(new TextEncoder().encode(data), !isAnswer(data));
  }

  /** Sends raw bytes (mouse reports in the old encodings). */
  binary(data: string): void {
    this.bytes(Uint8Array.from(data, (c) => c.charCodeAt(0) & 0xff), true);
  }

  /**
   * Types text once, even if the connection breaks meanwhile. After the deadline it rejects with
   * "undelivered" and the text is not typed later. The same id can then be run again.
   */
  run(id: string, text: string): Promise<boolean> {
    return new Promise((done, failed) => {
      const run: Run = {
        id, text, done, failed,
        before: Math.round(this.options.now() + runFor),
        timer: setTimeout(() => this.ran(id)?.failed(new ApiError("undelivered", "")), runFor),
      };
      this.runs.set(id, run);
      if (this.greeted) this.sendRun(run);
      else if (this.state === "exited") this.start();
      else this.retryNow();
    });
  }

  /** Sends this page's size again, because another page may have changed it. */
  claim(): void {
    this.sentSize = "";
    const { cols, rows } = this.options.screen.size();
    this.resize(cols, rows);
  }

  resize(cols: number, rows: number): void {
    const size = `${cols}x${rows}`;
    if (!this.greeted || size === this.sentSize || !this.options.inUse()) return;
    this.sentSize = size;
    this.sizedAt = Date.now();
    this.control({ type: "resize", cols, rows });
  }

  /** Removes a run from the pending ones and returns it. */
  private ran(id: string): Run | undefined {
    const run = this.runs.get(id);
    clearTimeout(run?.timer);
    this.runs.delete(id);
    return run;
  }

  private async connect(): Promise<void> {
    this.drop();
    const generation = this.generation;
    this.setState("connecting");
    const size = this.options.screen.size();
    let ticket: string;
    try {
      ticket = await this.options.ticket(size);
    } catch (err) {
      if (generation === this.generation) this.refused(asApiError(err));
      return;
    }
    if (generation !== this.generation) return;
    const used = this.options.inUse();
    const url = this.options.url({ ticket, from: this.cursor.from, ...(used ? size : { cols: 0, rows: 0 }) });
    const ws = this.options.socket ? this.options.socket(url, protocol) : new WebSocket(url, protocol);
    this.ws = ws;
    this.sentSize = used ? `${size.cols}x${size.rows}` : "";
    ws.binaryType = "arraybuffer";
    this.timer = setTimeout(() => this.lost(1006), helloTimeout);
    ws.onmessage = (event: MessageEvent<unknown>) => {
      if (generation !== this.generation) return;
      this.pulse.heard();
      this.message(event.data);
      if (this.greeted) this.release();
    };
    ws.onclose = (event: CloseEvent) => {
      if (generation === this.generation) this.lost(event.code);
    };
  }

  private message(data: unknown): void {
    if (data instanceof ArrayBuffer) {
      if (!this.greeted) return;
      for (const piece of this.cursor.receive(new Uint8Array(data))) {
        this.options.screen.write(piece.data, () => {
          const ack = this.cursor.drawn(piece);
          if (ack !== undefined && this.greeted) this.control({ type: "ack", seq: ack });
        });
      }
      return;
    }
    if (typeof data !== "string") return;
    let m: { type?: unknown; start?: unknown; end?: unknown; id?: unknown; fresh?: unknown; late?: unknown };
    try {
      m = JSON.parse(data) as typeof m;
    } catch {
      return;
    }
    switch (m.type) {
      case "hello":
        if (typeof m.start === "number" && typeof m.end === "number") this.hello(m.start, m.end);
        break;
      case "ran": {
        const run = typeof m.id === "string" ? this.ran(m.id) : undefined;
        if (m.late === true) run?.failed(new ApiError("undelivered", ""));
        else run?.done(m.fresh === true);
        break;
      }
      case "exit":
        this.exited();
        break;
    }
  }

  private hello(start: number, end: number): void {
    clearTimeout(this.timer);
    const resume = this.cursor.hello(start, end);
    if (resume === "restart") this.options.screen.reset();
    if (resume === "gap") this.options.screen.gap();
    this.greeted = true;
    this.attempt = 0;
    this.control({ type: "ack", seq: start });
    const { cols, rows } = this.options.screen.size();
    this.resize(cols, rows);
    this.pulse.start();
    this.setState("open");
    for (const run of this.runs.values()) this.sendRun(run);
  }

  /** Sends the input that was held back while disconnected or stalled. */
  private release(): void {
    if (this.held.length === 0) return;
    const held = this.held;
    this.held = [];
    this.heldBytes = 0;
    for (const h of held) if (Date.now() - h.at < heldFor) this.bytes(h.data, true);
  }

  private bytes(data: Uint8Array, typed: boolean): void {
    // A closing WebSocket silently drops what it is given.
    if (this.greeted && this.ws?.readyState === 1 && !this.pulse.stalled) {
      if (typed && Date.now() - this.sizedAt > sizeEvery) this.claim();
      for (const frame of frames(data, frameLimit)) this.ws.send(frame as Uint8Array<ArrayBuffer>);
      this.pulse.sent(data.length);
      return;
    }
    if (this.state === "exited" || this.state === "closed") return;
    if (this.heldBytes + data.length > heldLimit) return;
    this.held.push({ data, at: Date.now() });
    this.heldBytes += data.length;
    this.retryNow();
  }

  private sendRun(run: Run): void {
    this.control({ type: "run", id: run.id, text: run.text, before: run.before });
  }

  private control(message: object): void {
    if (this.ws && this.ws.readyState === 1) this.ws.send(JSON.stringify(message));
  }

  private lost(code: number): void {
    this.drop();
    if (code === 1000) {
      this.exited();
      return;
    }
    if (code === 4410) {
      this.setState("closed");
      this.options.onLost(new ApiError("gone", ""));
      return;
    }
    if (code === 1008) {
      // Protocol error: start over with the whole scrollback, and retry slowly.
      this.cursor.forget();
      this.options.screen.reset();
      this.attempt = Math.max(this.attempt, 3);
    }
    this.wait();
  }

  private refused(err: ApiError): void {
    if (err.code === "gone" || err.code === "not_found" || err.code === "unauthorized" || err.code === "too_many") {
      this.setState("closed");
      this.options.onLost(err);
      return;
    }
    this.wait();
  }

  private wait(): void {
    this.drop();
    this.timer = setTimeout(() => this.retryNow(), backoff(this.attempt++, Math.random()));
    this.setState("waiting");
  }

  private exited(): void {
    if (this.state === "exited") return;
    this.drop();
    this.setState("exited");
  }

  /** Closes the current WebSocket and ignores its further events. */
  private drop(): void {
    clearTimeout(this.timer);
    this.pulse.stop();
    this.generation++;
    this.greeted = false;
    const ws = this.ws;
    this.ws = undefined;
    if (ws) {
      ws.onmessage = null;
      ws.onclose = null;
      ws.close();
    }
  }

  private setState(state: LinkState): void {
    if (this.state === state) return;
    this.state = state;
    if (state === "exited" || state === "closed") {
      for (const id of [...this.runs.keys()]) this.ran(id)?.failed(new ApiError("gone", ""));
    }
    this.options.onState(state);
  }
}
