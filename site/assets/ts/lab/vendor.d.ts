// The bundle uses xterm.js from assets/vendor (see vendor.js). The types come from the npm
// packages.
declare module "*/vendor/xterm.mjs" {
  export * from "@xterm/xterm";
}
declare module "*/vendor/addon-fit.mjs" {
  export * from "@xterm/addon-fit";
}
declare module "*/vendor/addon-unicode11.mjs" {
  export * from "@xterm/addon-unicode11";
}
