// Client of the HTTP API in docs/api.md. A reverse proxy or a static host may answer in place of
// labd, so any response that is not JSON of the expected shape becomes an ApiError with the code
// "offline".

export type SessionState = "creating" | "ready" | "recovering" | "ending" | "ended" | "failed";
export type EngineState = "starting" | "ready" | "down";
export type StepState = "locked" | "open" | "done";

export interface Finding {
  kind: string;
  ok: boolean;
  subject?: string;
  saw?: string;
  expected?: string;
  hint?: string;
}

/** A known wrong state that the check recognised. */
export interface WrongState {
  id: string;
  saw?: string;
  hint?: string;
}

export interface Report {
  passed: boolean;
  at?: string;
  wrong?: WrongState;
  findings?: Finding[] | null;
}

export interface Step {
  anchor: string;
  title?: string;
  state: StepState;
  done_at?: string;
  report?: Report;
}

/** A machine of the lab. A node that is down blocks only its own terminals. */
export interface Node {
  name: string;
  state: "up" | "down";
  engine: EngineState;
  notice?: string;
}

export interface Session {
  id: string;
  lab: string;
  lang: string;
  state: SessionState;
  engine: EngineState;
  error?: { code: string; detail?: string; message: string; id?: string };
  notice?: string;
  created_at: string;
  expires_at: string;
  warn_at: string;
  now: string;
  nodes: Node[] | null;
  terminals: { id: string; node: string }[] | null;
  variables: Record<string, string> | null;
  steps: Step[] | null;
  replay?: Replay;
}

/** Progress of replaying the steps that the learner finished earlier on a new machine. */
export interface Replay {
  /** The step being replayed. After a failure: the step that the learner continues with. */
  step: string;
  done: number;
  total: number;
  to: string;
  failed?: boolean;
}

export interface Status {
  labs: "ready" | "off";
  reason?: string;
  detail?: string;
}

export interface LabProgress {
  steps: Record<string, string>;
  done: boolean;
}

export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status = 0,
    readonly id = "",
    /** Tells errors of one code apart, see details.ts. */
    readonly detail = "",
  ) {
    super(message);
    this.name = "ApiError";
  }
}

/** Converts anything that was thrown into an ApiError. */
export function asApiError(err: unknown): ApiError {
  return err instanceof ApiError ? err : new ApiError("offline", "");
}

const base = "/api/v1";
const statusTimeout = 4_000;
const callTimeout = 30_000;
const restoreTimeout = 150_000; // the server needs at most two minutes
const openTimeout = 12_000; // shorter than callTimeout, because a terminal retries

export class Api {
  status(): Promise<Status> {
    return this.call<Status>("GET", "/status", undefined, statusTimeout).then((s) => {
      if (s.labs !== "ready" && s.labs !== "off") throw new ApiError("offline", "");
      return s;
    });
  }

  /** Reports whether the server answers at all, with any status. */
  async reachable(timeout: number): Promise<boolean> {
    try {
      await this.call("GET", "/status", undefined, timeout);
      return true;
    } catch (err) {
      return asApiError(err).status > 0;
    }
  }

  async findSession(lab: string): Promise<Session | undefined> {
    try {
      const list = await this.call<{ sessions: Session[] | null }>("GET", `/sessions?lab=${encodeURIComponent(lab)}`);
      return list.sessions?.[0];
    } catch (err) {
      // no cookie yet: this browser never started a lab
      if (asApiError(err).code === "unauthorized") return undefined;
      throw err;
    }
  }

  createSession(lab: string, lang: string, startOver: boolean): Promise<Session> {
    return this.call("POST", "/sessions", { lab, lang, start_over: startOver });
  }

  /** Discards the session's machine and creates a new one. */
  reset(id: string, startOver: boolean): Promise<Session> {
    return this.call("POST", `/sessions/${encodeURIComponent(id)}/reset`, { start_over: startOver });
  }

  /** Restores the course images that were removed from a node. */
  restoreImages(id: string, node: string): Promise<void> {
    return this.call("POST", `/sessions/${encodeURIComponent(id)}/nodes/${encodeURIComponent(node)}/restore-images`, undefined, restoreTimeout);
  }

  session(id: string): Promise<Session> {
    return this.call("GET", `/sessions/${encodeURIComponent(id)}`);
  }

  extend(id: string): Promise<Session> {
    return this.call("POST", `/sessions/${encodeURIComponent(id)}/extend`);
  }

  end(id: string): Promise<void> {
    return this.call("DELETE", `/sessions/${encodeURIComponent(id)}`);
  }

  check(id: string, anchor: string): Promise<Report> {
    return this.call("POST", `/sessions/${encodeURIComponent(id)}/steps/${encodeURIComponent(anchor)}/check`, undefined, 60_000);
  }

  progress(): Promise<{ labs: Record<string, LabProgress> | null }> {
    return this.call("GET", "/progress", undefined, statusTimeout);
  }

  openTerminal(id: string, terminal: { id: string; node: string; cols: number; rows: number }): Promise<{ ticket: string }> {
    return this.call("POST", `/sessions/${encodeURIComponent(id)}/terminals`, terminal, openTimeout);
  }

  closeTerminal(id: string, terminal: string): Promise<void> {
    return this.call("DELETE", `/sessions/${encodeURIComponent(id)}/terminals/${encodeURIComponent(terminal)}`);
  }

  eventsURL(id: string): string {
    return `${base}/sessions/${encodeURIComponent(id)}/events`;
  }

  terminalURL(id: string, terminal: string, query: { ticket: string; from: number; cols: number; rows: number }): string {
    const url = new URL(
      `${base}/sessions/${encodeURIComponent(id)}/terminals/${encodeURIComponent(terminal)}/ws`,
      window.location.href,
    );
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value));
    return url.href;
  }

  private async call<T>(method: string, path: string, body?: unknown, timeout = callTimeout): Promise<T> {
    const init: RequestInit = {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(timeout),
      headers: { Accept: "application/json" },
    };
    if (body !== undefined) {
      init.headers = { ...init.headers, "Content-Type": "application/json" };
      init.body = JSON.stringify(body);
    }
    let response: Response;
    try {
      response = await fetch(base + path, init);
    } catch {
      throw new ApiError("offline", "");
    }
    if (response.status === 204) return undefined as T;
    if (!(response.headers.get("Content-Type") ?? "").includes("json")) {
      throw new ApiError("offline", "", response.status);
    }
    let answer: unknown;
    try {
      answer = await response.json();
    } catch {
      throw new ApiError("offline", "", response.status);
    }
    if (response.ok) return answer as T;
    const error = (answer as { error?: { code?: string; detail?: string; message?: string; id?: string } } | null)?.error;
    throw new ApiError(error?.code ?? "internal", error?.message ?? "", response.status, error?.id ?? "", error?.detail ?? "");
  }
}
