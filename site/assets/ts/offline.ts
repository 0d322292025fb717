// Offline reading: registers the service worker (sw.ts), and enables the button that saves a whole
// course.

export function offline(): void {
  const { sw, base = "/" } = document.body.dataset;
  if (!sw || !("serviceWorker" in navigator)) return;
  // Do not compete with the page's own requests.
  addEventListener("load", () => {
    const worker = navigator.serviceWorker.register(sw, { scope: base });
    const save = async (): Promise<void> => {
      await worker;
      if (document.querySelector("[data-save]")) await (await import("./save.js")).saveButton(worker);
    };
    save().catch(() => {
      // Service workers are disabled, or there is no network: offer nothing.
    });
  });
}
