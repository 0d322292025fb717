// Opens the search with "/", Ctrl+K or the magnifying glass. On the search page they focus its
// field.

export function finder(): void {
  const link = document.querySelector<HTMLAnchorElement>("[data-find]");
  if (!link) return;
  let opening: Promise<() => void> | undefined;
  const load = (): Promise<() => void> => {
    opening ??= import("./dialog.js").then((d) => d.dialog(new URL(link.href).pathname, document.body.dataset["lang"]));
    return opening;
  };
  const open = (): void => {
    const field = document.querySelector<HTMLInputElement>("[data-search] input");
    if (field) {
      field.focus();
      return;
    }
    load().then(
      (show) => show(),
      () => location.assign(link.href),
    );
  };
  for (const hint of ["pointerenter", "focus"]) link.addEventListener(hint, () => void load().catch(() => (opening = undefined)), { once: true });
  link.addEventListener("click", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    open();
  });
  document.addEventListener("keydown", (e) => {
    const typing = e.target instanceof HTMLElement && e.target.closest("input, textarea, select, [contenteditable], .lab-pane");
    const slash = e.key === "/" && !e.ctrlKey && !e.metaKey && !e.altKey;
    if (typing || !(slash || (e.key === "k" && (e.ctrlKey || e.metaKey)))) return;
    e.preventDefault();
    open();
  });
}
