// One terminal's WebSocket, kept alive: it reconnects, asks only for the output that was missed, and sends each click-to-run
// text until the server says it was typed, or until it is too late for that. The terminal itself is behind Screen.

import { ApiError, asApiError } from "./api.js";
import { Pulse } from "./pulse.js";
import { OutputCursor, backoff, frames, isAnswer } from "./stream.js";

const protocol = "labd.terminal.v1";
const frameLimit = 32 * 1024; // the server takes 64 KiB a frame
const helloTimeout = 10_000;
const heldLimit = 64 * 1024; // typed while the connection was away
const heldFor = 10_000; // older typing is no longer what the learner means
const runFor = 10_000; // a command that was not typed within this time is offered again, not typed later
const sizeEvery = 2_000; // another page may have changed the terminal's size since this one was last typed in

export interface Screen {
  write(data: Uint8Array, drawn: () => void): void;
  /** A new shell: forget everything shown. */
  reset(): void;
  /** Output between was lost. */
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
  /** Starts or finds the shell and gets a ticket for one WebSocket. */
  ticket(size: Size): Promise<string>;
  url(query: { ticket: string; from: number } & Size): string;
  /** Whether the learner uses this page: only then does connecting change the size of a shell that other pages may show. */
  inUse(): boolean;
  /** The server's clock, in ms since 1970. */
  now(): number;
  /** Whether the server answers, asked beside the WebSocket. */
  reachable(): Promise<boolean>;
  onState(state: LinkState): void;
  /** The session is over, or the server refuses for good. */
  onLost(err: ApiError): void;
  /** Tests bring their own. */
  socket?: (url: string, protocol: string) => WebSocket;
}

interface Run {
  id: string;
  text: string;
  before: number; // by the server's clock
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

  /** start connects, also again after "exited": the server then makes a new shell. */
  start(): void {
    if (this.state === "exited") {
      this.cursor.forget();
      this.options.screen.reset();
    }
    this.attempt = 0;
    void this.connect();
  }

  /** retryNow cuts a wait short, as when the network or the page's visibility came back. */
  retryNow(): void {
    if (this.state === "waiting") void this.connect();
  }

  /** suspect asks for a sign of life, as when the browser says that it is offline. */
  suspect(): void {
    this.pulse.suspect();
  }

  close(): void {
    this.setState("closed");
    this.drop();
  }

  /** input sends what the terminal has for the shell: typing, pastes, and its answers to queries. */
  input(data: string): void {
    if (isAnswer(data) && (this.cursor.replaying || !this.greeted)) return;
    this.bytes(new TextEncoder().encode(data), !isAnswer(data));
  }

  /** binary sends bytes as they are (mouse reports of old protocols). */
  binary(data: string): void {
    this.bytes(Uint8Array.from(data, (c) => c.charCodeAt(0) & 0xff), true);
  }

  /**
   * run has text typed once, whatever happens to the connection. If that takes too long it fails with "undelivered", and the
   * text is not typed later; the same id may then be run again.
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

  /** claim gives the shell this page's size, also if it had it before: another page may have changed it. */
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

  /** ran forgets a run and returns it. */
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

  /** release sends what was typed while nothing could be sent. */
  private release(): void {
    if (this.held.length === 0) return;
    const held = this.held;
    this.held = [];
    this.heldBytes = 0;
    for (const h of held) if (Date.now() - h.at < heldFor) this.bytes(h.data, true);
  }

  private bytes(data: Uint8Array, typed: boolean): void {
    // A socket that is closing still looks like ours for a moment, and drops what it is given.
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
      // We and the server don't agree on what was said: begin from nothing, slowly.
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

  /** drop forgets the present WebSocket: nothing it still says is heard. */
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
