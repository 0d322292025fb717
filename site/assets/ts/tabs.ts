// Tabs work without a script. With it, a choice applies to all sets of tabs.

const all = (): HTMLInputElement[] => [...document.querySelectorAll<HTMLInputElement>("[data-tabs] > input")];
const titleOf = (input: HTMLInputElement): string => input.nextElementSibling?.textContent ?? "";

/** Applies a choice to all sets of tabs. */
function follow(chosen: HTMLInputElement): void {
  for (const other of all()) if (titleOf(other) === titleOf(chosen)) other.checked = true;
}

export function tabs(): void {
  // The reader may have chosen before this script was loaded.
  const early = all().find((input) => input.checked && !input.defaultChecked);
  if (early) follow(early);
  document.addEventListener("change", (e) => {
    const input = e.target;
    const set = input instanceof HTMLInputElement && input.parentElement;
    if (!set || !set.matches("[data-tabs]")) return;
    // Keep the scroll position.
    const before = set.getBoundingClientRect().top;
    follow(input);
    scrollBy({ top: set.getBoundingClientRect().top - before, behavior: "instant" });
  });
}
