// The offline page: lists the pages that can be read without a network.

import { cacheName, langHeader, titleHeader } from "./kept.js";

async function list(): Promise<void> {
  const into = document.querySelector<HTMLElement>("[data-readable]");
  if (!into) return;
  const cache = await caches.open(cacheName(document.body.dataset["base"] ?? "/"));
  const items: { href: string; title: string }[] = [];
  for (const request of await cache.keys()) {
    const page = await cache.match(request);
    const title = decodeURIComponent(page?.headers.get(titleHeader) ?? "");
    const lang = decodeURIComponent(page?.headers.get(langHeader) ?? "");
    // Leave out offline pages and pages in other languages.
    if (!title || lang !== document.documentElement.lang || /\/offline\/$/.test(request.url)) continue;
    items.push({ href: new URL(request.url).pathname, title: text(title) });
  }
  items.sort((a, b) => a.href.localeCompare(b.href));
  into.replaceChildren(
    ...items.map(({ href, title }) => {
      const item = document.createElement("li");
      const a = document.createElement("a");
      a.href = href;
      const [name = title, ...site] = title.split(" · ");
      a.append(name);
      if (site.length > 0) {
        const small = document.createElement("small");
        small.textContent = site.join(" · ");
        a.append(" ", small);
      }
      item.append(a);
      return item;
    }),
  );
  document.querySelector<HTMLElement>(items.length > 0 ? "[data-some]" : "[data-nothing]")?.removeAttribute("hidden");
}

/** Decodes HTML that contains only text. */
function text(html: string): string {
  return new DOMParser().parseFromString(html, "text/html").body.textContent ?? "";
}

list().catch(() => document.querySelector<HTMLElement>("[data-nothing]")?.removeAttribute("hidden"));

// Reload the requested page when the network is back.
addEventListener("online", () => {
  if (!/\/offline\/$/.test(location.pathname)) location.reload();
});
