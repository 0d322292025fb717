// Name of the service worker's cache, shared with the scripts that read it.

export const cachePrefix = "labd-";
/** The number changes with the format of the cache. */
export const cacheName = (base: string): string => `${cachePrefix}1:${base}`;
export const titleHeader = "X-Labd-Title";
export const langHeader = "X-Labd-Lang";
