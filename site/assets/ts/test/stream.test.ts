import assert from "node:assert/strict";
import { test } from "node:test";
import { OutputCursor, ackEvery, backoff, frames, isAnswer } from "../lab/stream.js";

const bytes = (n: number): Uint8Array => new Uint8Array(n);

test("a first connection wants the whole scrollback, a later one only what it missed", () => {
  const c = new OutputCursor();
  assert.equal(c.from, -1);
  assert.equal(c.hello(100, 150), "continue");
  c.receive(bytes(70));
  assert.equal(c.from, 170);
  assert.equal(c.hello(170, 170), "continue");
});

test("history ends inside a frame: replay lasts until its last byte is drawn, not longer", () => {
  const c = new OutputCursor();
  c.hello(0, 10);
  const [history, live] = c.receive(bytes(25));
  assert.equal(history?.data.length, 10);
  assert.equal(live?.data.length, 15);
  assert.equal(c.replaying, true);
  c.drawn(history!);
  assert.equal(c.replaying, false);
  c.drawn(live!);
  assert.equal(c.from, 25);
});

test("one byte at a time counts as one frame does", () => {
  const c = new OutputCursor();
  c.hello(5, 8);
  for (let i = 0; i < 3; i++) {
    assert.equal(c.replaying, true, `at byte ${i}`);
    const pieces = c.receive(bytes(1));
    assert.equal(pieces.length, 1);
    c.drawn(pieces[0]!);
  }
  assert.equal(c.replaying, false);
  assert.equal(c.from, 8);
});

test("history that was received but not yet drawn when the connection broke is still history", () => {
  const c = new OutputCursor();
  c.hello(0, 10);
  const [piece] = c.receive(bytes(10));
  assert.equal(c.hello(10, 10), "continue");
  assert.equal(c.replaying, true);
  c.drawn(piece!);
  assert.equal(c.replaying, false);
});

test("output that the server no longer has is a gap", () => {
  const c = new OutputCursor();
  c.hello(0, 0);
  c.receive(bytes(10));
  assert.equal(c.hello(50, 60), "gap");
  assert.equal(c.from, 50);
});

test("numbers that go back are another shell, and late drawing of the old one does not count", () => {
  const c = new OutputCursor();
  c.hello(0, 0);
  const [old] = c.receive(bytes(5000));
  assert.equal(c.hello(0, 40), "restart");
  assert.equal(c.drawn(old!), undefined);
  assert.equal(c.replaying, true);
  const [piece] = c.receive(bytes(40));
  c.drawn(piece!);
  assert.equal(c.replaying, false);
});

test("acks come every 256 KiB of drawn output, carry what is drawn, and never go back", () => {
  const c = new OutputCursor();
  c.hello(1000, 1000);
  const acks: number[] = [];
  let sum = 1000;
  for (let i = 0; i < 64; i++) {
    const [piece] = c.receive(bytes(32 * 1024));
    sum += 32 * 1024;
    const ack = c.drawn(piece!);
    if (ack !== undefined) {
      assert.equal(ack, sum);
      acks.push(ack);
    }
  }
  assert.equal(acks.length, (64 * 32 * 1024) / ackEvery);
  assert.deepEqual(acks, [...acks].sort((a, b) => a - b));
});

test("a terminal's answers are told from typing", () => {
  for (const answer of ["\x1b[?1;2c", "\x1b[>0;276;0c", "\x1b[0n", "\x1b[12;40R", "\x1b[?12;40R", "\x1b[?2004;1$y", "\x1b[4;2$y", "\x1b]11;rgb:ffff/ffff/ffff\x1b\\", "\x1b]10;rgb:00/00/00\x07", "\x1bP1$r0m\x1b\\", "\x1b[8;24;80t", "\x1b[?0u", "\x1b[?1;2c\x1b[1;1R"]) {
    assert.equal(isAnswer(answer), true, JSON.stringify(answer));
  }
  for (const typed of ["a", "\r", "\x03", "\x1b", "\x1b[A", "\x1bOA", "\x1b[1;5C", "\x1b[3~", "\x1bb", "\x1b[200~docker ps\x1b[201~", "\x1b[Z", "容器", "\x1b[I", "\x1b[O", "c", "\x1b[<0;3;4M"]) {
    assert.equal(isAnswer(typed), false, JSON.stringify(typed));
  }
});

test("waits grow from a tenth of a second to three seconds and stay there", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 99].map((n) => backoff(n, 0)), [100, 250, 500, 1000, 2000, 3000, 3000, 3000]);
  assert.ok(backoff(99, 0.999) < 4000);
});

test("input is cut into frames in order, and nothing is lost", () => {
  const data = Uint8Array.from({ length: 100_001 }, (_, i) => i % 251);
  const cut = frames(data, 32 * 1024);
  assert.ok(cut.every((f) => f.length <= 32 * 1024));
  assert.deepEqual(Buffer.concat(cut), Buffer.from(data));
});
