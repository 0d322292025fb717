// Copies what the bundle takes from npm into assets/vendor, so that the Go side needs no node_modules.
import { copyFileSync, mkdirSync, rmSync } from "node:fs";

const out = new URL("./assets/vendor/", import.meta.url);
const from = new URL("./node_modules/@xterm/", import.meta.url);

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const file of [
  "xterm/lib/xterm.mjs",
  "xterm/css/xterm.css",
  "addon-fit/lib/addon-fit.mjs",
  "addon-unicode11/lib/addon-unicode11.mjs",
]) {
  copyFileSync(new URL(file, from), new URL(file.split("/").pop(), out));
}
copyFileSync(new URL("xterm/LICENSE", from), new URL("LICENSE-xterm", out));
