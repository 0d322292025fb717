// xterm.js behind the few things the pane needs of it. This module is loaded only when a terminal is shown.

import { Unicode11Addon } from "../../vendor/addon-unicode11.mjs";
import { FitAddon } from "../../vendor/addon-fit.mjs";
import { Terminal, type ITheme } from "../../vendor/xterm.mjs";
import type { Screen } from "./link.js";

export interface ScreenEvents {
  input(data: string): void;
  binary(data: string): void;
  resize(cols: number, rows: number): void;
  /** A key of the pane's own; true means it was one, and the shell must not see it. */
  shortcut(event: KeyboardEvent): boolean;
}

const resizeDelay = 80;
const scrollback = 5_000;

export class XtermScreen implements Screen {
  private readonly terminal: Terminal;
  private readonly fitAddon = new FitAddon();
  private readonly observer: ResizeObserver;
  private resizing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly host: HTMLElement,
    label: string,
    screenReader: boolean,
    private readonly lostText: string,
    events: ScreenEvents,
  ) {
    this.terminal = new Terminal({
      allowProposedApi: true, // the Unicode versions are behind it
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: getComputedStyle(host).fontFamily,
      fontSize: parseFloat(getComputedStyle(host).fontSize) || 13,
      lineHeight: 1.25,
      linkHandler: { activate: () => {} }, // what a learner's program prints is no link
      minimumContrastRatio: 4.5,
      screenReaderMode: screenReader,
      scrollback,
      theme: themeOf(host),
    });
    this.terminal.loadAddon(this.fitAddon);
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.unicode.activeVersion = "11";
    this.terminal.open(host);
    this.terminal.textarea?.setAttribute("aria-label", label);
    this.terminal.onData(events.input);
    this.terminal.onBinary(events.binary);
    this.terminal.onResize(({ cols, rows }) => {
      clearTimeout(this.resizing);
      this.resizing = setTimeout(() => events.resize(cols, rows), resizeDelay);
    });
    this.terminal.attachCustomKeyEventHandler((event) => {
      if (!event.ctrlKey || !event.shiftKey || event.altKey || event.metaKey) return true;
      if (event.code === "KeyV") return false; // the browser pastes, xterm hears of it
      if (event.code === "KeyC") {
        event.preventDefault(); // or the browser opens its inspector
        if (event.type === "keydown") this.copy();
        return false;
      }
      return !events.shortcut(event);
    });
    this.observer = new ResizeObserver(() => requestAnimationFrame(() => this.fit()));
    this.observer.observe(host);
    this.fit();
  }

  write(data: Uint8Array, drawn: () => void): void {
    this.terminal.write(data, drawn);
  }

  reset(): void {
    this.terminal.reset();
  }

  gap(): void {
    this.note(this.lostText);
  }

  /** note prints a line of ours between the shell's. */
  note(text: string): void {
    this.terminal.write(`\r\n\x1b[0;2m${text}\x1b[0m\r\n`);
  }

  size(): { cols: number; rows: number } {
    return { cols: this.terminal.cols, rows: this.terminal.rows };
  }

  get bracketedPaste(): boolean {
    return this.terminal.modes.bracketedPasteMode;
  }

  /** The bytes of an arrow key depend on what the program asked for. */
  get applicationCursor(): boolean {
    return this.terminal.modes.applicationCursorKeysMode;
  }

  fit(): void {
    // A hidden terminal has no size; fitting would make it two columns wide.
    if (this.host.clientWidth < 40 || this.host.clientHeight < 20) return;
    this.fitAddon.fit();
  }

  focus(): void {
    this.terminal.focus();
  }

  scrollToBottom(): void {
    this.terminal.scrollToBottom();
  }

  retheme(): void {
    this.terminal.options.theme = themeOf(this.host);
  }

  setScreenReader(on: boolean): void {
    this.terminal.options.screenReaderMode = on;
  }

  dispose(): void {
    clearTimeout(this.resizing);
    this.observer.disconnect();
    this.terminal.dispose();
  }

  private copy(): void {
    const text = this.terminal.getSelection();
    if (text === "") return;
    if (window.isSecureContext) {
      void navigator.clipboard.writeText(text);
    } else {
      // A class on plain http has no clipboard API; xterm answers the older copy event with its selection.
      document.execCommand("copy");
    }
  }
}

const colours = [
  "background", "foreground", "cursor", "cursorAccent", "selectionBackground", "selectionInactiveBackground",
  "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
  "brightBlack", "brightRed", "brightGreen", "brightYellow", "brightBlue", "brightMagenta", "brightCyan", "brightWhite",
] as const satisfies readonly (keyof ITheme)[];

// The colours stand in lab.css as --term-background and so on, so that light and dark are decided in one place.
function themeOf(host: HTMLElement): ITheme {
  const style = getComputedStyle(host);
  const theme: ITheme = {};
  for (const name of colours) {
    const value = style.getPropertyValue(`--term-${name.replace(/[A-Z]/g, (c) => "-" + c.toLowerCase())}`).trim();
    if (value !== "") theme[name] = value;
  }
  return theme;
}
