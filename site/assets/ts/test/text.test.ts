import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pasted, saveCommand, spans, typed } from "../lab/text.js";

test("backtick pairs are code, everything else is text", () => {
  assert.deepEqual(spans("Use `-d` here."), [{ code: false, text: "Use " }, { code: true, text: "-d" }, { code: false, text: " here." }]);
  assert.deepEqual(spans("`docker ps`"), [{ code: true, text: "docker ps" }]);
  assert.deepEqual(spans("one ` alone"), [{ code: false, text: "one ` alone" }]);
  assert.deepEqual(spans("empty `` pair"), [{ code: false, text: "empty `` pair" }]);
  assert.deepEqual(spans("<b>`<i>`</b>"), [{ code: false, text: "<b>" }, { code: true, text: "<i>" }, { code: false, text: "</b>" }]);
  assert.deepEqual(spans(""), []);
});

test("no text of a report is lost or invented", () => {
  for (const text of ["a`b`c`d`e", "```", "`a``b`", "x`\n`y"]) {
    const back = spans(text).map((s) => (s.code ? `\`${s.text}\`` : s.text)).join("");
    assert.equal(back, text);
  }
});

test("several lines go as one paste where the shell takes pastes", () => {
  assert.equal(typed("docker ps\n", true), "docker ps\n");
  assert.equal(typed("a\nb\n", false), "a\nb\n");
  assert.equal(typed("a\r\nb\n\n", true), "\x1b[200~a\nb\x1b[201~\n");
});

test("a block cannot end its own paste early", () => {
  assert.equal(typed("a\x1b[201~\nb", true), "\x1b[200~a[201~\nb\x1b[201~\n");
});

test("a saved file has exactly the block's content, whatever is in it", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "labd-save-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const contents = ["services:\n  web: {}", "EOF\nEOF1\n", "$HOME `id` \\ 'x' \"y\"\n", "all:\n\techo tab\n", "容器 😀\n", ""];
  for (const path of ["compose.yml", "app/src/main.py", "it's here/a file.txt"]) {
    for (const content of contents) {
      for (const paste of [true, false]) {
        execFileSync("bash", ["-c", saveCommand(path, content, paste)], { cwd: dir });
        const want = content === "" || content.endsWith("\n") ? content : content + "\n";
        assert.equal(readFileSync(join(dir, path), "utf8"), want, `${path}, paste ${paste}`);
      }
    }
  }
});

test("a paste holds no keys: no escape sequences, no control characters but tabs and line ends", () => {
  assert.equal(pasted("a\tb\r\nc"), "a\tb\r\nc");
  assert.equal(pasted("x\x1b[201~\nrm -rf ~\n"), "x[201~\nrm -rf ~\n");
  assert.equal(pasted("\x03\x04\x7f\x9b201~容器🐳"), "201~容器🐳");
});
