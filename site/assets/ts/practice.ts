// Labs that are done: the one on this page, and those that labd knows of.

import type { State } from "./progress.js";

const apiTimeout = 4_000;

/** What this needs of progress.ts. Importing it would split the script that every page loads. */
interface Kept {
  api: string;
  page: string;
  read(): State;
  change(how: (s: State) => void): void;
  mark(...pages: string[]): void;
}

export function practice({ api, page, read, change, mark }: Kept): void {
  /** A lab is done when all of its steps are. The lab pane writes their state. */
  const steps = [...document.querySelectorAll<HTMLElement>("main[data-lab] section[data-step]")];
  if (steps.length > 0) {
    const look = (): void => {
      if (steps.every((s) => s.dataset["state"] === "done")) mark(page);
    };
    const watch = new MutationObserver(look);
    for (const s of steps) watch.observe(s, { attributeFilter: ["data-state"] });
    look();
  }
  void askLabd();

  /** Asks labd which labs are done. It is not asked about readers who never began one: the answer would make them learners. */
  async function askLabd(): Promise<void> {
    if (!api) return;
    try {
      if (Object.keys(sessionStorage).some((k) => k.startsWith("labd.live.")) && !read().labs) change((s) => (s.labs = true));
      if (!read().labs) return;
      const answer = await fetch(`${api}/progress`, { signal: AbortSignal.timeout(apiTimeout), cache: "no-store" });
      if (!answer.ok) return;
      const { labs } = (await answer.json()) as { labs?: Record<string, { done?: boolean }> | null };
      mark(...Object.entries(labs ?? {}).flatMap(([id, lab]) => (lab.done ? [`labs/${id}/`] : [])));
    } catch {
      // No labd, no more to show.
    }
  }
}
