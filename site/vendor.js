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

// The letters of the cards that are shown beside links; WOFF of version 1, which Go can unpack.
const fonts = new URL("./node_modules/@fontsource/", import.meta.url);
for (const file of [
  "inter/files/inter-latin-600-normal.woff",
  "inter/files/inter-latin-ext-600-normal.woff",
  "noto-sans-sc/files/noto-sans-sc-chinese-simplified-600-normal.woff",
]) {
  copyFileSync(new URL(file, fonts), new URL(file.split("/").pop(), out));
}
copyFileSync(new URL("inter/LICENSE", fonts), new URL("LICENSE-inter", out));
copyFileSync(new URL("noto-sans-sc/LICENSE", fonts), new URL("LICENSE-noto-sans-sc", out));
