// Notices a connection that is dead without having been closed, for example behind a proxy that stopped forwarding.
//
// Browsers do not tell a page about the pings of the WebSocket protocol, so the page asks by itself: after a silence, and when
// something was typed. Whatever the server says counts as an answer.

const askAfter = 3_000; // of silence
const stallAfter = 1_500; // without an answer, what is typed is kept back
const deadAfter = 4_000; // without an answer
const checkEvery = 500;
const sleptAfter = 2_500; // between two checks: the computer slept, or the page's timers were throttled
const smallInput = 1_024; // bytes; a program that does not read can hold up an answer behind more than that
const largeInputFor = 60_000; // ms that a large input may hold up the answer

export interface PulseOptions {
  /** Asks the server for a sign of life. */
  ask(): void;
  /** Asks it another way, past what the terminal has queued. */
  reachable(): Promise<boolean>;
  dead(): void;
}

export class Pulse {
  private timer: ReturnType<typeof setInterval> | undefined;
  private heardAt = 0;
  private askedAt = 0; // 0: nothing is asked
  private checkedAt = 0;
  private pending = 0; // bytes sent since something was heard
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

  /** heard notes that the server said something. */
  heard(): void {
    this.heardAt = Date.now();
    this.askedAt = 0;
    this.pending = 0;
  }

  /** sent notes input, whose echo is usually the answer. */
  sent(bytes: number): void {
    this.pending += bytes;
    if (this.askedAt === 0) this.ask();
  }

  /** suspect asks at once, as when the browser says that it is offline. */
  suspect(): void {
    if (this.timer !== undefined && this.askedAt === 0) this.ask();
  }

  /** True while it is doubtful that anything sent now would arrive. */
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
      this.ask(); // an answer may have had no chance to arrive
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
