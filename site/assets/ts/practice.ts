// Marks a lab as done when all its steps are. The lab pane writes the steps' state.

export function followLab(done: () => void): void {
  const steps = [...document.querySelectorAll<HTMLElement>("main[data-lab] section[data-step]")];
  if (steps.length === 0) return;
  const look = (): void => {
    if (steps.every((s) => s.dataset["state"] === "done")) done();
  };
  const watch = new MutationObserver(look);
  for (const s of steps) watch.observe(s, { attributeFilter: ["data-state"] });
  look();
}
