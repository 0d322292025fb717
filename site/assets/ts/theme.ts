// Runs before the first paint wherever it is in the browser's cache, which is always so once a theme was chosen. Without a choice the style sheet follows the system.
try {
  const theme = localStorage.getItem("labd-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
} catch {
  // Storage may be forbidden; the system's theme is fine.
}
