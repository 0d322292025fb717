// Runs before the first paint if it is cached, which it is once a theme was chosen. Without a
// choice the style sheet follows the system.
try {
  const theme = localStorage.getItem("labd-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset["theme"] = theme;
} catch {
  // Storage is blocked: follow the system.
}
