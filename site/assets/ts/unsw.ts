// The service worker of a site without offline reading: removes an earlier worker's caches and
// itself.

import { cachePrefix } from "./kept.js";

declare const SITE: { base: string };

interface Scope {
  readonly registration: ServiceWorkerRegistration;
  skipWaiting(): Promise<void>;
  addEventListener(kind: "install" | "activate", f: (e: Event & { waitUntil(p: Promise<unknown>): void }) => void): void;
}
const scope = self as unknown as Scope;

scope.addEventListener("install", (e) => e.waitUntil(scope.skipWaiting()));

scope.addEventListener("activate", (e) =>
  e.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(cachePrefix) && name.endsWith(`:${SITE.base}`)) await caches.delete(name);
      }
      await scope.registration.unregister();
    })(),
  ),
);
