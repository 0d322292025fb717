// Reading without a network: registers the service worker (sw.ts), and offers to save a whole course where there is a button for it.

export function offline(): void {
  const { sw, base = "/" } = document.body.dataset;
  if (!sw || !("serviceWorker" in navigator)) return;
  // The page comes first.
  addEventListener("load", () => {
    const worker = navigator.serviceWorker.register(sw, { scope: base });
    const save = async (): Promise<void> => {
      await worker;
      if (document.querySelector("[data-save]")) await (await import("./save.js")).saveButton(worker);
    };
    save().catch(() => {
      // A browser that forbids it, or no network: nothing is offered.
    });
  });
}
