// Loads the page anew when it has been built again. Browsers keep the place where the reader is.
const timing = performance.getEntriesByType("navigation")[0]?.serverTiming ?? [];
const mine = timing.find((t) => t.name === "build")?.description;
new EventSource("/-/events").addEventListener("message", (e) => {
  if (mine !== undefined && String(JSON.parse(e.data).version) !== mine) location.reload();
});
