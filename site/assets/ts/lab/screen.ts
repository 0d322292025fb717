// Wraps xterm.js. This module is loaded only when a terminal is shown.

import { Unicode11Addon } from "../../vendor/addon-unicode11.mjs";
import { FitAddon } from "../../vendor/addon-fit.mjs";
import { Terminal, type IMarker, type ITheme } from "../../vendor/xterm.mjs";
import type { Screen } from "./link.js";
import { Marks, frontOf, type Front } from "./marks.js";
import { pasted } from "./text.js";

export interface ScreenEvents {
  input(data: string): void;
  binary(data: string): void;
  resize(cols: number, rows: number): void;
  /** The output of another shell begins. */
  restarted(): void;
  /**
   * Handles a keyboard shortcut of the pane. Returns true if the shell must not receive the key.
   */
  shortcut(event: KeyboardEvent): boolean;
}

const resizeDelay = 80;
const scrollback = 5_000;
const settled = 40; // ms in which the shell echoes type-ahead after its prompt

// Leaves the alternate screen, resets modes, character sets and colours, shows the cursor and turns
// mouse reports off. 1049l also restores the cursor, so the cursor is saved first.
const resetModes = "\x1b7\x1b[?1049l\x1b[!p\x1b[?25h\x1b[?9;1000;1002;1003;1004;1005;1006;1015;1016l\x1b(B\x0f";

export class XtermScreen implements Screen {
  private readonly terminal: Terminal;
  private readonly fitAddon = new FitAddon();
  private readonly observer: ResizeObserver;
  private readonly marks = new Marks();
  private promptEnd: { line: IMarker | undefined; x: number } = { line: undefined, x: 0 };
  private waiting: (() => void)[] = []; // callbacks for the next mark
  private resizing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly host: HTMLElement,
    label: string,
    screenReader: boolean,
    private readonly lostText: string,
    private readonly events: ScreenEvents,
  ) {
    this.terminal = new Terminal({
      allowProposedApi: true, // needed for the Unicode addon
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: getComputedStyle(host).fontFamily,
      fontSize: parseFloat(getComputedStyle(host).fontSize) || 13,
      lineHeight: 1.25,
      linkHandler: { activate: () => {} }, // links in program output are not trusted
      logLevel: "off", // binary output causes thousands of parser errors
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
    this.terminal.attachCustomKeyEventHandler((event) => this.key(event));
    // capture phase: before xterm's own listener
    host.addEventListener("paste", (event) => this.paste(event), true);
    // DA2: the reply has the same form as the query. A program that echoes its raw input would
    // cause an endless loop, so only the query is answered.
    this.terminal.parser.registerCsiHandler({ prefix: ">", final: "c" }, (params) => params.length > 1 || params[0] !== 0);
    this.terminal.parser.registerOscHandler(133, (data) => this.mark(data));
    this.observer = new ResizeObserver(() => requestAnimationFrame(() => this.fit()));
    this.observer.observe(host);
    this.fit();
  }

  write(data: Uint8Array, drawn: () => void): void {
    this.terminal.write(data, drawn);
  }

  reset(): void {
    this.events.restarted();
    this.marks.forget();
    this.terminal.reset();
  }

  /** Resets the terminal's modes, for example after a program crashed. The content stays. */
  resetModes(): void {
    this.terminal.write(resetModes);
  }

  gap(): void {
    this.marks.forget();
    this.note(this.lostText);
  }

  /** Prints a line of our own into the terminal. */
  note(text: string): void {
    this.terminal.write(`\r\n\x1b[0;2m${text}\x1b[0m\r\n`);
  }

  size(): { cols: number; rows: number } {
    return { cols: this.terminal.cols, rows: this.terminal.rows };
  }

  get bracketedPaste(): boolean {
    return this.terminal.modes.bracketedPasteMode;
  }

  /** What would receive a command that is typed now. */
  get front(): Front {
    const buffer = this.terminal.buffer.active;
    const { line, x } = this.promptEnd;
    const y = buffer.baseY + buffer.cursorY;
    const row = buffer.getLine(y);
    const clean = line === undefined || (line.line === y && x === buffer.cursorX && (row?.translateToString(true, x) ?? "").trim() === "");
    return frontOf(this.marks.place, buffer.type === "alternate", clean, row?.translateToString(false, 0, buffer.cursorX) ?? "");
  }

  /** Whether the shell prints OSC 133 marks. */
  get marked(): boolean {
    return this.marks.place !== "unknown";
  }

  /** Exit status of the last command. */
  get status(): number {
    return this.marks.status;
  }

  /** Resolves at the next primary or secondary prompt after this call. */
  asked(): Promise<"prompt" | "more"> {
    const { prompts, more } = this.marks;
    return new Promise((done) => {
      const look = (): void => {
        if (this.marks.more > more && this.marks.place === "more") done("more");
        else if (this.marks.prompts > prompts && this.marks.place === "prompt") setTimeout(() => done("prompt"), settled);
        else this.waiting.push(look);
      };
      look();
    });
  }

  /** Whether the program requested application cursor keys (DECCKM). */
  get applicationCursor(): boolean {
    return this.terminal.modes.applicationCursorKeysMode;
  }

  fit(): void {
    // A hidden terminal has no size, and fitting it would make it two columns wide.
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

  private mark(data: string): boolean {
    if (this.marks.hear(data) && this.marks.place === "prompt") {
      this.promptEnd.line?.dispose();
      this.promptEnd = { line: this.terminal.registerMarker(0), x: this.terminal.buffer.active.cursorX };
    }
    for (const look of this.waiting.splice(0)) look();
    return true;
  }

  /** Filters keys before xterm handles them. Returns false to keep a key from the shell. */
  private key(event: KeyboardEvent): boolean {
    if (!event.ctrlKey || event.altKey || event.metaKey) return true;
    if (event.code === "KeyV") return false; // let the browser fire its paste event
    if (event.code === "KeyC" && (event.shiftKey || this.terminal.hasSelection())) {
      event.preventDefault(); // Ctrl+Shift+C opens the developer tools otherwise
      if (event.type === "keydown") this.copy();
      return false;
    }
    return !event.shiftKey || !this.events.shortcut(event);
  }

  // xterm does not filter pasted text. An "end of paste" sequence in it would let a newline run the
  // rest.
  private paste(event: ClipboardEvent): void {
    event.preventDefault();
    event.stopPropagation();
    const text = pasted(event.clipboardData?.getData("text/plain") ?? "");
    if (text !== "") this.terminal.paste(text);
  }

  private copy(): void {
    const text = this.terminal.getSelection();
    if (text === "") return;
    // Clear the selection, so that the next Ctrl+C interrupts again.
    queueMicrotask(() => this.terminal.clearSelection());
    if (window.isSecureContext) {
      void navigator.clipboard.writeText(text);
    } else {
      // The clipboard API needs https. xterm answers the older copy event with its selection.
      document.execCommand("copy");
    }
  }
}

const colours = [
  "background", "foreground", "cursor", "cursorAccent", "selectionBackground", "selectionInactiveBackground",
  "black", "red", "green", "yellow", "blue", "magenta", "cyan", "white",
  "brightBlack", "brightRed", "brightGreen", "brightYellow", "brightBlue", "brightMagenta", "brightCyan", "brightWhite",
] as const satisfies readonly (keyof ITheme)[];

// The colours are CSS variables in lab.css (--term-background and so on), for both themes.
function themeOf(host: HTMLElement): ITheme {
  const style = getComputedStyle(host);
  const theme: ITheme = {};
  for (const name of colours) {
    const value = style.getPropertyValue(`--term-${name.replace(/[A-Z]/g, (c) => "-" + c.toLowerCase())}`).trim();
    if (value !== "") theme[name] = value;
  }
  return theme;
}
