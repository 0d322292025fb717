// A terminal's link in a world whose server, screen and WebSockets are the test.

import { ApiError } from "../lab/api.js";
import { TerminalLink, type LinkState, type Screen } from "../lab/link.js";

/** FakeSocket is the browser's half of a WebSocket; the test is the server. */
export class FakeSocket {
  binaryType = "";
  readyState = 1;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  onclose: ((e: { code: number }) => void) | null = null;
  readonly sent: unknown[] = [];

  constructor(readonly url: URL) {}

  send(data: unknown): void {
    this.sent.push(data);
  }

  close(): void {
    this.readyState = 3;
  }

  says(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  outputs(text: string): void {
    const data = new TextEncoder().encode(text);
    this.onmessage?.({ data: data.buffer });
  }

  breaks(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }

  get typed(): string {
    return this.sent.filter((m): m is Uint8Array => m instanceof Uint8Array).map((m) => new TextDecoder().decode(m)).join("");
  }

  get controls(): { type: string; id?: string; seq?: number; before?: number }[] {
    return this.sent.filter((m): m is string => typeof m === "string").map((m) => JSON.parse(m) as { type: string });
  }
}

export class World {
  readonly sockets: FakeSocket[] = [];
  readonly states: LinkState[] = [];
  readonly undrawn: (() => void)[] = [];
  shown = "";
  resets = 0;
  gaps = 0;
  lost: ApiError | undefined;
  refuse: ApiError | undefined;
  tickets = 0;
  used = true;
  reachable = false;
  slow = false; // the terminal does not draw until the test says so
  private waiting: (() => void)[] = [];
  readonly link: TerminalLink;

  constructor() {
    const screen: Screen = {
      write: (data, drawn) => {
        this.shown += new TextDecoder().decode(data);
        if (this.slow) this.undrawn.push(drawn);
        else drawn();
      },
      reset: () => {
        this.resets++;
        this.shown = "";
      },
      gap: () => this.gaps++,
      size: () => ({ cols: 80, rows: 24 }),
    };
    this.link = new TerminalLink({
      screen,
      ticket: async () => {
        this.tickets++;
        if (this.refuse) throw this.refuse;
        return `ticket-${this.tickets}`;
      },
      url: (q) => `ws://host/ws?ticket=${q.ticket}&from=${q.from}&cols=${q.cols}&rows=${q.rows}`,
      inUse: () => this.used,
      now: () => Date.now() + 5_000,
      reachable: async () => this.reachable,
      onState: (s) => this.states.push(s),
      onLost: (err) => (this.lost = err),
      socket: (url) => {
        const socket = new FakeSocket(new URL(url));
        this.sockets.push(socket);
        for (const go of this.waiting.splice(0)) go();
        return socket as unknown as WebSocket;
      },
    });
  }

  /** socket waits for the nth connection. */
  async socket(n: number): Promise<FakeSocket> {
    while (this.sockets.length < n) await new Promise<void>((go) => this.waiting.push(go));
    return this.sockets[n - 1]!;
  }

  async start(start = 0, end = 0): Promise<FakeSocket> {
    this.link.start();
    const s = await this.socket(1);
    s.says({ type: "hello", start, end });
    return s;
  }
}
