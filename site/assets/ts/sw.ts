// The service worker: caches visited pages for offline reading.
//
// Pages, indexes and images are network-first, with the cache as a fallback when the network fails
// or is slow. Fingerprinted files are cache-first. Requests outside the site's base, anything but
// plain GETs, labd's API, WebSockets and health check, and the live preview are not handled. The
// cache has a size limit: the oldest entries go first, and those that were saved explicitly go
// last. A new worker takes over at once, because all workers of one version share one cache format
// and open pages find their old files in it.

import { cacheName, cachePrefix, titleHeader, langHeader } from "./kept.js";

/** Values that sitegen inserts when it bundles this file. */
interface Site {
  base: string;
  shell: string[]; // what every page needs, and the offline pages
  offline: Record<string, string>; // the offline page by the start of a language's addresses
}
declare const SITE: Site;

export interface Order {
  save: string; // the address of a list of files
}
export interface Progress {
  done: number;
  total: number;
  failed?: boolean;
}

const maxBytes = 50 * 1000 * 1000;
const maxPages = 300; // visited ones; those that were saved on purpose are only limited by their size
const maxFile = 5 * 1000 * 1000;
const maxList = 5_000;
const patience = 3_000; // how long a page that is kept waits for the network
const parallel = 4;

const never = ["/api/", "/healthz", "/-/", `${SITE.base}sw.js`];
const sizeHeader = "X-Labd-Size";
const savedHeader = "X-Labd-Saved";

interface Extendable extends Event {
  waitUntil(p: Promise<unknown>): void;
}
interface Fetch extends Extendable {
  readonly request: Request;
  respondWith(r: Promise<Response>): void;
}
interface Message extends Extendable {
  readonly data: unknown;
  readonly ports: readonly MessagePort[];
}
interface Scope {
  readonly location: Location;
  readonly clients: { claim(): Promise<void>; matchAll(o: { includeUncontrolled: boolean }): Promise<{ url: string }[]> };
  skipWaiting(): Promise<void>;
  addEventListener(kind: "install" | "activate", f: (e: Extendable) => void): void;
  addEventListener(kind: "fetch", f: (e: Fetch) => void): void;
  addEventListener(kind: "message", f: (e: Message) => void): void;
}
const scope = self as unknown as Scope;

const name = cacheName(SITE.base);
const hashed = /\/assets\/[^/]+-[A-Z0-9]{8}\.[a-z0-9]+$/;

interface Entry {
  size: number;
  page: boolean;
  saved: boolean;
}

/** Cache entries, oldest first. Read once in the life of the worker. */
let index: Promise<Map<string, Entry>> | undefined;

function entries(): Promise<Map<string, Entry>> {
  index ??= (async () => {
    const cache = await caches.open(name);
    const out = new Map<string, Entry>();
    for (const request of await cache.keys()) {
      const r = await cache.match(request);
      if (!r) continue;
      out.set(request.url, {
        size: Number(r.headers.get(sizeHeader)) || 0,
        page: isPage(r),
        saved: r.headers.has(savedHeader),
      });
    }
    return out;
  })();
  return index;
}

const isPage = (r: Response): boolean => (r.headers.get("Content-Type") ?? "").startsWith("text/html");

/** Writes are serialized. Otherwise two of them could use the same free space. */
let writing: Promise<unknown> = Promise.resolve();

function put(url: string, response: Response, onPurpose = false): Promise<void> {
  const done = writing.then(() => write(url, response, onPurpose));
  writing = done.catch(() => {
    // The disk is full or storage is blocked: cache nothing.
  });
  return done;
}

async function write(url: string, response: Response, onPurpose: boolean): Promise<void> {
  const body = await response.blob();
  if (body.size > maxFile) return;
  const all = await entries();
  const saved = onPurpose || (all.get(url)?.saved ?? false);
  const headers = new Headers(response.headers);
  // The body is decoded already, so headers about its transfer are wrong.
  headers.delete("Content-Encoding");
  headers.delete("Content-Length");
  headers.set(sizeHeader, String(body.size));
  if (saved) headers.set(savedHeader, "yes");
  if (isPage(response)) {
    const head = (await body.slice(0, 4_096).text()).replaceAll("\n", " ");
    headers.set(titleHeader, encodeURIComponent(/<title>([^<]*)/.exec(head)?.[1] ?? ""));
    headers.set(langHeader, encodeURIComponent(/<html lang="?([\w-]*)/.exec(head)?.[1] ?? ""));
  }
  const cache = await caches.open(name);
  await cache.delete(url); // or it would keep its old place in the order
  await cache.put(url, new Response(body, { headers }));
  all.delete(url);
  all.set(url, { size: body.size, page: isPage(response), saved });
  await makeRoom(cache, all, url);
}

async function makeRoom(cache: Cache, all: Map<string, Entry>, newest: string): Promise<void> {
  let bytes = 0;
  let pages = 0;
  for (const e of all.values()) {
    bytes += e.size;
    if (e.page && !e.saved) pages++;
  }
  for (const saved of [false, true]) {
    for (const [url, e] of all) {
      if (bytes <= maxBytes && pages <= maxPages) return;
      const inTheWay = bytes > maxBytes || (e.page && !e.saved);
      if (e.saved !== saved || url === newest || !inTheWay) continue;
      await cache.delete(url);
      all.delete(url);
      bytes -= e.size;
      if (e.page && !e.saved) pages--;
    }
  }
}

const kept = async (url: string): Promise<Response | undefined> => (await caches.open(name)).match(url);

function mayKeep(r: Response): boolean {
  return r.status === 200 && r.type === "basic" && !r.redirected && !/no-store/.test(r.headers.get("Cache-Control") ?? "");
}

/** The cache key of a URL, or "" if this worker does not handle it. */
function place(request: Request): string {
  const url = new URL(request.url);
  const ours =
    request.method === "GET" &&
    url.origin === scope.location.origin &&
    url.pathname.startsWith(SITE.base) &&
    !never.some((p) => url.pathname.startsWith(p)) &&
    !request.headers.has("Range") &&
    !/event-stream/.test(request.headers.get("Accept") ?? "");
  return ours ? url.origin + url.pathname : "";
}

async function offlinePage(url: string): Promise<Response> {
  const path = new URL(url).pathname;
  const start = Object.keys(SITE.offline)
    .filter((p) => path.startsWith(p))
    .sort((a, b) => b.length - a.length)[0];
  const page = await kept(new URL(SITE.offline[start ?? SITE.base] ?? SITE.base, scope.location.origin).href);
  return page ? new Response(page.body, { status: 503, headers: page.headers }) : Response.error();
}

async function fromNetwork(e: Fetch, url: string): Promise<Response> {
  const fetched = fetch(e.request).then((response) => ({
    response,
    write: mayKeep(response) ? put(url, response.clone()) : undefined,
  }));
  e.waitUntil(fetched.then((f) => f.write).catch(() => {}));
  const old = await kept(url);
  if (!old) {
    return fetched.then((f) => f.response, () => (e.request.mode === "navigate" ? offlinePage(url) : Response.error()));
  }
  const late = new Promise<Response>((resolve) => setTimeout(() => resolve(old), patience));
  // A gateway's error page for a server that is down counts as no answer.
  const answer = fetched.then((f) => (f.response.status >= 500 ? old : f.response), () => old);
  return Promise.race([answer, late]);
}

async function fromKept(e: Fetch, url: string): Promise<Response> {
  return (await kept(url)) ?? fromNetwork(e, url);
}

/**
 * The URLs of a page's images in all sizes, because the size that the browser will choose is
 * unknown.
 */
function pictures(html: string): string[] {
  const sources = html.match(/<(?:img|source)\b[^>]*>/g) ?? [];
  return sources.flatMap((tag) => [
    ...(/\ssrc="?([^"\s>]+)/.exec(tag)?.slice(1) ?? []),
    ...(/\ssrcset="([^"]+)"/.exec(tag)?.[1] ?? "").split(",").map((s) => s.trim().split(/\s/)[0] ?? ""),
  ]).map((url) => url.replaceAll("&amp;", "&"));
}

/** Fetches and caches files, and their images if they are saved explicitly. */
async function fetchAll(urls: string[], onPurpose: boolean, tell: (p: Progress) => void): Promise<void> {
  const seen = new Set<string>();
  const queue: URL[] = [];
  const add = (address: string, from: string): void => {
    const url = new URL(address, from);
    if (!address || seen.size >= maxList || seen.has(url.href) || url.origin !== scope.location.origin || !url.pathname.startsWith(SITE.base)) return;
    seen.add(url.href);
    queue.push(url);
  };
  for (const u of urls) add(u, scope.location.origin);
  let done = 0;
  const work = async (): Promise<void> => {
    for (let u = queue.shift(); u; u = queue.shift()) {
      const response = await fetch(u);
      if (!mayKeep(response)) throw new Error(`${u.pathname} can't be kept`);
      if (isPage(response)) for (const p of pictures(await response.clone().text())) add(p, u.href);
      await put(u.href, response, onPurpose);
      tell({ done: ++done, total: seen.size });
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
}

scope.addEventListener("install", (e) => {
  e.waitUntil(fetchAll(SITE.shell, true, () => {}).then(() => scope.skipWaiting()));
});

scope.addEventListener("activate", (e) => {
  e.waitUntil(
    (async () => {
      for (const other of await caches.keys()) {
        if (other.startsWith(cachePrefix) && other.endsWith(`:${SITE.base}`) && other !== name) await caches.delete(other);
      }
      await scope.clients.claim();
      // Open pages were loaded before this worker existed, so cache them now.
      for (const { url } of await scope.clients.matchAll({ includeUncontrolled: true })) {
        const at = place(new Request(url));
        const response = at && (await fetch(at).catch(() => undefined));
        if (response && mayKeep(response)) await put(at, response).catch(() => {});
      }
    })(),
  );
});

scope.addEventListener("fetch", (e) => {
  const url = place(e.request);
  if (url) e.respondWith(hashed.test(url) ? fromKept(e, url) : fromNetwork(e, url));
});

scope.addEventListener("message", (e) => {
  const list = (e.data as Partial<Order> | null)?.save;
  const port = e.ports[0];
  if (typeof list !== "string" || !port) return;
  const tell = (p: Progress): void => port.postMessage(p);
  const save = async (): Promise<void> => {
    const { files } = (await (await fetch(new URL(list, scope.location.origin))).json()) as { files: string[] };
    // Report completion at the end, because images are found on the way.
    await fetchAll(files, true, (p) => tell({ ...p, total: p.total + 1 }));
    tell({ done: 1, total: 1 });
  };
  e.waitUntil(save().catch(() => tell({ done: 0, total: 1, failed: true })));
});
