// How the service worker keeps pages, for those who read them besides it.

export const cachePrefix = "labd-";
/** The number changes when the form of what is kept does. */
export const cacheName = (base: string): string => `${cachePrefix}1:${base}`;
export const titleHeader = "X-Labd-Title";
export const langHeader = "X-Labd-Lang";
