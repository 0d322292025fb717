// Sets of tabs switch without a script; with it they follow each other.

const all = (): HTMLInputElement[] => [...document.querySelectorAll<HTMLInputElement>("[data-tabs] > input")];
const titleOf = (input: HTMLInputElement): string => input.nextElementSibling?.textContent ?? "";

/** Chooses in all sets of tabs what was chosen in one. */
function follow(chosen: HTMLInputElement): void {
  for (const other of all()) if (titleOf(other) === titleOf(chosen)) other.checked = true;
}

export function tabs(): void {
  // Somebody may have been faster than this script.
  const early = all().find((input) => input.checked && !input.defaultChecked);
  if (early) follow(early);
  document.addEventListener("change", (e) => {
    const input = e.target;
    const set = input instanceof HTMLInputElement && input.parentElement;
    if (!set || !set.matches("[data-tabs]")) return;
    // The reader's place is kept.
    const before = set.getBoundingClientRect().top;
    follow(input);
    scrollBy({ top: set.getBoundingClientRect().top - before, behavior: "instant" });
  });
}
