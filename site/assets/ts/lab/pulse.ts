// Heartbeat: detects a connection that is dead but was never closed, for example because a proxy
// stopped forwarding.
//
// Browsers handle WebSocket pings internally, so the page sends its own: after some silence, and
// after input. Any message from the server counts as an answer.

const askAfter = 3_000; // of silence, in ms
const stallAfter = 1_500; // without an answer: hold back further input
const deadAfter = 4_000; // without an answer: give up the connection
const checkEvery = 500;
const sleptAfter = 2_500; // between two checks: the computer slept or timers were throttled
const smallInput = 1_024; // bytes; larger input may delay the answer if the program reads slowly
const largeInputFor = 60_000; // longest delay that large input explains

export interface PulseOptions {
  /** Sends a ping over the WebSocket. */
  ask(): void;
  /** Sends an HTTP request, which does not wait behind queued input. */
  reachable(): Promise<boolean>;
  dead(): void;
}

export class Pulse {
  private timer: ReturnType<typeof setInterval> | undefined;
  private heardAt = 0;
  private askedAt = 0; // 0: no ping is outstanding
  private checkedAt = 0;
  private pending = 0; // bytes sent since the last message from the server
  private probing = false;

  constructor(private readonly options: PulseOptions) {}

  start(): void {
    this.stop();
    this.heardAt = this.checkedAt = Date.now();
    this.timer = setInterval(() => this.check(), checkEvery);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
    this.askedAt = 0;
    this.pending = 0;
  }

  /** Call for every message from the server. */
  heard(): void {
    this.heardAt = Date.now();
    this.askedAt = 0;
    this.pending = 0;
  }

  /** Call for input. Its echo usually is the answer. */
  sent(bytes: number): void {
    this.pending += bytes;
    if (this.askedAt === 0) this.ask();
  }

  /** Pings immediately, for example because the browser reports that it is offline. */
  suspect(): void {
    if (this.timer !== undefined && this.askedAt === 0) this.ask();
  }

  /** Whether input should be held back because it might not arrive. */
  get stalled(): boolean {
    return this.askedAt > 0 && this.pending <= smallInput && Date.now() - this.askedAt >= stallAfter;
  }

  private ask(): void {
    this.askedAt = Date.now();
    this.options.ask();
  }

  private check(): void {
    const now = Date.now();
    const slept = now - this.checkedAt > sleptAfter;
    this.checkedAt = now;
    if (slept) {
      this.ask(); // an answer may still be on its way
      return;
    }
    if (this.askedAt === 0) {
      if (now - this.heardAt >= askAfter) this.ask();
      return;
    }
    if (now - this.askedAt < deadAfter || this.probing) return;
    if (this.pending <= smallInput || now - this.askedAt >= largeInputFor) {
      this.options.dead();
      return;
    }
    void this.probe(this.askedAt);
  }

  private async probe(asked: number): Promise<void> {
    this.probing = true;
    const reachable = await this.options.reachable();
    this.probing = false;
    if (!reachable && this.askedAt === asked && this.timer !== undefined) this.options.dead();
  }
}
