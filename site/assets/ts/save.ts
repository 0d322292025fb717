// The button that saves a whole course for offline reading.

import type { Order, Progress } from "./sw.js";

interface List {
  bytes: number;
}

/** Saves the course whose files are listed at data-save. */
export async function saveButton(worker: Promise<ServiceWorkerRegistration>): Promise<void> {
  const box = document.querySelector<HTMLElement>("[data-save]");
  const button = box?.querySelector("button");
  const status = box?.querySelector<HTMLElement>("[role=status]");
  if (!box || !button || !status) return;
  const { save: list = "", saved = "", failed = "", size = "" } = box.dataset;
  await worker;
  const { active } = await navigator.serviceWorker.ready;
  const answer = await fetch(list);
  if (!active || !answer.ok) return;
  const { bytes } = (await answer.json()) as List;
  const megabytes = Math.max(0.1, bytes / 1e6).toLocaleString(document.documentElement.lang, { maximumFractionDigits: 1 });
  button.append(` (${size.replace("%s", megabytes)})`);
  button.addEventListener("click", () => {
    button.disabled = true;
    const channel = new MessageChannel();
    channel.port1.onmessage = ({ data }: MessageEvent<Progress>) => {
      const over = data.done === data.total || data.failed;
      status.textContent = data.failed ? failed : over ? saved : `${Math.floor((100 * data.done) / data.total)} %`;
      if (!over) return;
      button.disabled = !data.failed;
      channel.port1.close();
    };
    const order: Order = { save: list };
    active.postMessage(order, [channel.port2]);
  });
  box.classList.add("is-shown");
}
