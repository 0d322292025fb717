// Text of reports, in which only `code` spans are markup, and text for the shell.

export interface Span {
  code: boolean;
  text: string;
}

/** Splits text at pairs of backticks. A single backtick stays as it is. */
export function spans(text: string): Span[] {
  const out: Span[] = [];
  const push = (code: boolean, s: string): void => {
    if (s !== "") out.push({ code, text: s });
  };
  let rest = 0;
  const pair = /`([^`]+)`/g;
  for (let m = pair.exec(text); m !== null; m = pair.exec(text)) {
    push(false, text.slice(rest, m.index));
    push(true, m[1] ?? "");
    rest = m.index + m[0].length;
  }
  push(false, text.slice(rest));
  return out;
}

/** Returns a shell command that writes content to a file. The file ends in a newline. */
export function saveCommand(path: string, content: string, bracketedPaste: boolean): string {
  const file = quote(path);
  const slash = path.lastIndexOf("/");
  const mkdir = slash > 0 ? `mkdir -p ${quote(path.slice(0, slash))} && ` : "";
  if (content !== "" && !content.endsWith("\n")) content += "\n";
  if (!bracketedPaste && content.includes("\t")) {
    // Outside a paste, readline treats a tab as a request to complete a name.
    return `${mkdir}echo ${base64(content)} | base64 -d > ${file}\n`;
  }
  let end = "EOF";
  const lines = new Set(content.split("\n"));
  for (let i = 1; lines.has(end); i++) end = `EOF${i}`;
  return `${mkdir}cat > ${file} << '${end}'\n${content}${end}\n`;
}

/**
 * Prepares text for typing into a shell. Several lines are sent as one bracketed paste if possible:
 * then the shell reads all lines before it runs the first, and no command reads the rest as its
 * input.
 */
export function typed(text: string, bracketedPaste: boolean): string {
  const body = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "");
  if (bracketedPaste && body.includes("\n")) return `\x1b[200~${body.replaceAll("\x1b", "")}\x1b[201~\n`;
  return body + "\n";
}

/**
 * Removes control characters except tabs and line ends from pasted text, because they act like
 * keys.
 */
export function pasted(text: string): string {
  return text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, "");
}

function quote(s: string): string {
  if (/^[\w@%+=:,./-]+$/.test(s)) return s;
  return `'${s.replaceAll("'", `'\\''`)}'`;
}

function base64(s: string): string {
  let bytes = "";
  for (const b of new TextEncoder().encode(s)) bytes += String.fromCharCode(b);
  return btoa(bytes);
}
