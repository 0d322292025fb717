// State of the lab session in this page: looks for or starts a session, follows its events, notices
// its end.

import { Api, ApiError, asApiError, type LabProgress, type Report, type Session } from "./api.js";
import { errorText } from "./i18n.js";
import { backoff } from "./stream.js";

/**
 * looking: asking the server. offline: the server does not answer. off: labs are turned off, with a
 * reason. idle: can be started. starting: start was requested. live: a session runs. over: the
 * session ended or failed.
 */
export type Phase = "looking" | "offline" | "off" | "idle" | "starting" | "live" | "over";

export interface Model {
  phase: Phase;
  reason: string;
  session: Session | undefined;
  /** Why the last session ended or could not be started. */
  error: ApiError | undefined;
  /** The event stream has been broken for long enough to tell the learner. */
  reconnecting: boolean;
  progress: LabProgress | undefined;
  /** Server time minus local time, in ms. */
  skew: number;
}

const sayBrokenAfter = 1_200;
const hiddenFor = 60_000;
const lookEvery = 2_000; // while labs are off; labd reports that briefly after each start
const lookAtLeastEvery = 60_000; // while offline; browsers log each failed request
/**
 * Statuses with which a reverse proxy reports that labd is away; 0 means no answer. Other statuses
 * are final.
 */
const away = [0, 502, 503, 504];

export class SessionStore {
  readonly model: Model = {
    phase: "looking",
    reason: "",
    session: undefined,
    error: undefined,
    reconnecting: false,
    progress: undefined,
    skew: 0,
  };
  private events: EventSource | undefined;
  private attempt = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private broken: ReturnType<typeof setTimeout> | undefined;
  private looking: ReturnType<typeof setTimeout> | undefined;
  private looks = 0;
  private hidden: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<(model: Model, before: Session | undefined) => void>();

  constructor(
    readonly api: Api,
    readonly lab: string,
    readonly lang: string,
  ) {
    document.addEventListener("visibilitychange", () => this.visibility());
    window.addEventListener("online", () => this.renew());
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) this.renew();
    });
  }

  onChange(listener: (model: Model, before: Session | undefined) => void): void {
    this.listeners.add(listener);
  }

  /** Finds out whether labs are available and whether a session already runs. */
  async look(): Promise<void> {
    clearTimeout(this.looking);
    try {
      // The first request for progress sets the learner's cookie, without which sessions are
      // refused. Where nobody answers, it stays the only request.
      if (!this.model.progress) await this.earlier();
      // A session may still exist while the engine is away, so look for it in either case.
      const [status, session] = await Promise.all([this.api.status(), this.api.findSession(this.lab).catch(asApiError)]);
      if (!this.unknown()) return; // another call of look was faster
      if (session instanceof ApiError && status.labs === "ready") throw session;
      if (session !== undefined && !(session instanceof ApiError) && alive(session)) {
        this.follow(session);
      } else {
        this.set({ phase: status.labs === "ready" ? "idle" : "off", reason: errorText(this.lang, "labs_off", status.reason ?? "", status.detail), error: undefined });
      }
    } catch (err) {
      if (!this.unknown()) return;
      this.set({ phase: "offline" });
      if (away.includes(asApiError(err).status)) this.lookAgain();
      return;
    }
    if (this.model.phase === "off") this.lookAgain();
  }

  /** Whether neither a session nor the possibility to start one was found yet. */
  private unknown(): boolean {
    return ["looking", "off", "offline"].includes(this.model.phase);
  }

  /** Requests earlier progress. Throws only if the server does not answer. */
  private async earlier(): Promise<void> {
    try {
      const { labs } = await this.api.progress();
      this.set({ progress: labs?.[this.lab] ?? { steps: {}, done: false } });
    } catch (err) {
      if (asApiError(err).code === "offline") throw err;
    }
  }

  private lookAgain(): void {
    clearTimeout(this.looking);
    const more = this.model.phase === "offline" ? Math.min(lookEvery * 2 ** this.looks, lookAtLeastEvery) : lookEvery;
    this.looking = setTimeout(() => {
      if (!this.unknown()) return;
      if (document.hidden) this.lookAgain();
      else void this.look();
    }, backoff(this.looks++, Math.random()) + more);
  }

  /** Starts the lab where the learner left off, or at the first step. */
  async start(startOver = false): Promise<void> {
    if (this.model.phase === "starting" || this.model.phase === "live") return;
    this.set({ phase: "starting", error: undefined, session: undefined });
    try {
      this.follow(await this.api.createSession(this.lab, this.lang, startOver));
    } catch (err) {
      const error = asApiError(err);
      this.set(error.code === "labs_off" ? { phase: "off", reason: errorText(this.lang, error.code, error.message, error.detail) } : { phase: "over", error });
      if (error.code === "labs_off") this.lookAgain();
    }
  }

  async extend(): Promise<void> {
    const session = this.model.session;
    if (session) this.update(await this.api.extend(session.id));
  }

  async reset(startOver: boolean): Promise<void> {
    const session = this.model.session;
    if (session) this.update(await this.api.reset(session.id, startOver));
  }

  async restoreImages(): Promise<void> {
    const session = this.model.session;
    for (const node of session?.nodes ?? []) await this.api.restoreImages(session!.id, node.name);
  }

  async end(): Promise<void> {
    const session = this.model.session;
    if (!session) return;
    this.set({ session: { ...session, state: "ending" } });
    try {
      await this.api.end(session.id);
    } catch (err) {
      const error = asApiError(err);
      if (error.code !== "gone" && error.code !== "not_found") {
        this.set({ session });
        throw error;
      }
    }
    this.over(undefined);
  }

  async check(anchor: string): Promise<Report> {
    const session = this.model.session;
    if (!session) throw new ApiError("gone", "");
    const report = await this.api.check(session.id, anchor);
    // The event with the same report may arrive before or after this answer. A passed step changes
    // other steps, which only events contain.
    const now = this.model.session;
    if (now && !report.passed) {
      const steps = (now.steps ?? []).map((s) => (s.anchor === anchor && s.state === "open" ? { ...s, report } : s));
      this.set({ session: { ...now, steps } });
    }
    return report;
  }

  /** Called by terminals when the session may have ended. Asks the server. */
  async lost(): Promise<void> {
    const session = this.model.session;
    if (!session) return;
    try {
      this.update(await this.api.session(session.id));
    } catch (err) {
      const error = asApiError(err);
      if (fatal(error)) this.over(error);
    }
  }

  private follow(session: Session): void {
    this.update(session);
    if (this.model.phase === "live") this.listen();
  }

  private listen(): void {
    this.hangUp();
    const session = this.model.session;
    if (!session) return;
    const events = new EventSource(this.api.eventsURL(session.id));
    this.events = events;
    events.addEventListener("session", (event: MessageEvent<string>) => {
      let next: Session;
      try {
        next = JSON.parse(event.data) as Session;
      } catch {
        return;
      }
      this.attempt = 0;
      clearTimeout(this.broken);
      this.broken = undefined;
      if (this.model.reconnecting) this.set({ reconnecting: false });
      this.update(next);
    });
    // EventSource would wait 3 s and give up on an error status, so reconnect here.
    events.onerror = () => {
      if (this.events === events) void this.again();
    };
  }

  private async again(): Promise<void> {
    this.hangUp();
    this.broken ??= setTimeout(() => this.set({ reconnecting: true }), sayBrokenAfter);
    this.retry = setTimeout(() => void this.relisten(), backoff(this.attempt++, Math.random()));
  }

  private async relisten(): Promise<void> {
    const session = this.model.session;
    if (!session || this.model.phase !== "live") return;
    try {
      // EventSource does not report why it failed, but this request does.
      this.update(await this.api.session(session.id));
      if (this.model.phase === "live") this.listen();
    } catch (err) {
      const error = asApiError(err);
      if (fatal(error)) this.over(error);
      else void this.again();
    }
  }

  private hangUp(): void {
    clearTimeout(this.retry);
    this.events?.close();
    this.events = undefined;
  }

  /** Replaces the event stream, whose connection may be dead. */
  renew(): void {
    if (this.model.phase === "offline") void this.look();
    if (this.model.phase !== "live") return;
    this.attempt = 0;
    this.hangUp();
    void this.relisten();
  }

  // Over HTTP/1.1 browsers allow six connections per host, and each event stream uses one. Hidden
  // pages close theirs after a while.
  private visibility(): void {
    clearTimeout(this.hidden);
    if (document.hidden) {
      this.hidden = setTimeout(() => this.hangUp(), hiddenFor);
    } else if (this.model.phase === "live" && this.events === undefined) {
      this.renew();
    }
  }

  private update(session: Session): void {
    this.model.skew = Date.parse(session.now) - Date.now();
    if (alive(session)) {
      this.set({ phase: "live", session, error: undefined });
      return;
    }
    const e = session.error;
    this.over(session.state === "failed" ? new ApiError(e?.code ?? "internal", e?.message ?? "", 0, e?.id ?? "", e?.detail ?? "") : undefined, session);
  }

  private over(error: ApiError | undefined, session?: Session): void {
    this.hangUp();
    clearTimeout(this.broken);
    this.broken = undefined;
    const last = session ?? this.model.session;
    const steps = { ...this.model.progress?.steps };
    let done = (last?.steps?.length ?? 0) > 0;
    for (const s of last?.steps ?? []) {
      if (s.state === "done") steps[s.anchor] = s.done_at ?? "";
      else done = false;
    }
    const progress = { steps, done: done || (this.model.progress?.done ?? false) };
    this.set({ phase: "over", error, session: undefined, reconnecting: false, progress });
  }

  private set(change: Partial<Model>): void {
    const before = this.model.session;
    Object.assign(this.model, change);
    for (const listener of this.listeners) listener(this.model, before);
  }
}

function alive(session: Session): boolean {
  return session.state !== "ended" && session.state !== "failed";
}

function fatal(error: ApiError): boolean {
  return error.code === "gone" || error.code === "not_found" || error.code === "unauthorized";
}
