import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../lab/api.js";
import { World } from "./world.js";

test("a broken connection comes back with a new ticket and asks only for what it missed", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const first = await w.start();
  assert.equal(first.url.searchParams.get("from"), "-1");
  first.outputs("hello");
  first.breaks(1001);
  const second = await w.socket(2);
  assert.equal(second.url.searchParams.get("from"), "5");
  assert.notEqual(second.url.searchParams.get("ticket"), first.url.searchParams.get("ticket"));
  second.says({ type: "hello", start: 5, end: 11 });
  second.outputs(" world");
  assert.equal(w.shown, "hello world");
  assert.equal(w.resets + w.gaps, 0);
});

test("keys typed while the connection is away arrive once, in order", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const first = await w.start();
  w.link.input("ab");
  first.readyState = 2; // closing: the browser drops what it is given
  w.link.input("c");
  first.breaks(1006);
  w.link.input("d");
  const second = await w.socket(2);
  w.link.input("e");
  second.says({ type: "hello", start: 0, end: 0 });
  w.link.input("f");
  assert.equal(first.typed, "ab");
  assert.equal(second.typed, "cdef");
});

test("a large paste is cut into frames the server takes", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const s = await w.start();
  const paste = "容器x".repeat(150_000);
  w.link.input(paste);
  const parts = s.sent.filter((m): m is Uint8Array => m instanceof Uint8Array);
  assert.ok(parts.every((p) => p.length <= 64 * 1024));
  assert.equal(Buffer.concat(parts).toString("utf8"), paste);
});

test("a run without an answer is sent again under the same id, an answered one is not", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const first = await w.start();
  const done = w.link.run("hello-1", "docker ps\n");
  const lost = w.link.run("hello-2", "docker images\n");
  first.says({ type: "ran", id: "hello-1", fresh: true });
  assert.equal(await done, true);
  first.breaks(1001);
  const second = await w.socket(2);
  second.says({ type: "hello", start: 0, end: 0 });
  assert.deepEqual(second.controls.filter((c) => c.type === "run").map((c) => c.id), ["hello-2"]);
  second.says({ type: "ran", id: "hello-2", fresh: false });
  assert.equal(await lost, false);
});

test("a run asked for before the terminal is connected waits for it", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  w.link.start();
  const ran = w.link.run("early-1", "docker ps\n");
  const s = await w.socket(1);
  assert.equal(s.sent.length, 0);
  s.says({ type: "hello", start: 0, end: 0 });
  assert.deepEqual(s.controls.filter((c) => c.type === "run").map((c) => c.id), ["early-1"]);
  s.says({ type: "ran", id: "early-1", fresh: true });
  assert.equal(await ran, true);
});

test("answers to queries in history are not sent, typing meanwhile is", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  w.slow = true;
  const s = await w.start(0, 7);
  s.outputs("history");
  w.link.input("\x1b[?1;2c");
  w.link.input("x");
  assert.equal(s.typed, "x");
  for (const drawn of w.undrawn.splice(0)) drawn();
  w.link.input("\x1b[?1;2c");
  assert.equal(s.typed, "x\x1b[?1;2c");
});

test("each connection begins with an ack, so that the server waits for the terminal", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const s = await w.start(100, 100);
  assert.deepEqual(s.controls[0], { type: "ack", seq: 100 });
  w.slow = true;
  for (let i = 0; i < 10; i++) s.outputs("y".repeat(32 * 1024));
  assert.equal(s.controls.length, 1, "nothing is drawn yet");
  for (const drawn of w.undrawn.splice(0)) drawn();
  assert.deepEqual(s.controls[1], { type: "ack", seq: 100 + 256 * 1024 });
});

test("a shell that ended is not connected to again until somebody wants a new one", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const s = await w.start();
  s.outputs("bye");
  s.says({ type: "exit" });
  s.breaks(1000);
  assert.equal(w.link.state, "exited");
  assert.equal(w.sockets.length, 1);
  w.link.start();
  const next = await w.socket(2);
  assert.equal(next.url.searchParams.get("from"), "-1");
  assert.equal(w.shown, "", "the new shell has a clean screen");
});

test("a shell that was replaced clears the screen", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const first = await w.start();
  first.outputs("old shell");
  first.breaks(1011);
  const second = await w.socket(2);
  second.says({ type: "hello", start: 0, end: 3 });
  second.outputs("new");
  assert.equal(w.shown, "new");
});

test("a run whose shell ends before it answers fails, and the next one gets a new shell", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const s = await w.start();
  const ran = w.link.run("cut-1", "exit\n");
  s.says({ type: "exit" });
  await assert.rejects(ran, { code: "gone" });
  const again = w.link.run("cut-2", "docker ps\n");
  const next = await w.socket(2);
  next.says({ type: "hello", start: 0, end: 0 });
  assert.deepEqual(next.controls.filter((c) => c.type === "run").map((c) => c.id), ["cut-2"]);
  next.says({ type: "ran", id: "cut-2", fresh: true });
  assert.equal(await again, true);
});

test("the session's end is told, and not tried against", async () => {
  const w = new World();
  const s = await w.start();
  s.breaks(4410);
  assert.equal(w.lost?.code, "gone");
  assert.equal(w.link.state, "closed");
  assert.equal(w.tickets, 1);
});

test("a refused ticket for a session that is gone is final", async () => {
  const w = new World();
  w.refuse = new ApiError("not_found", "");
  w.link.start();
  while (w.lost === undefined) await new Promise((go) => setImmediate(go));
  assert.equal(w.link.state, "closed");
  assert.equal(w.sockets.length, 0);
});

test("a server that is away is asked again until it is back", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  w.refuse = new ApiError("offline", "");
  w.link.start();
  while (w.link.state !== "waiting") await new Promise((go) => setImmediate(go));
  w.refuse = undefined;
  const s = await w.socket(1);
  s.says({ type: "hello", start: 0, end: 0 });
  assert.equal(w.link.state, "open");
});

test("what a closed connection still says is not heard", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  const first = await w.start();
  const late = first.onmessage;
  first.breaks(1001);
  const second = await w.socket(2);
  late?.({ data: new TextEncoder().encode("ghost").buffer });
  second.says({ type: "hello", start: 0, end: 0 });
  assert.equal(w.shown, "");
});

test("messages that are not ours do no harm", async (t) => {
  const w = new World();
  t.after(() => w.link.close());
  w.link.start();
  const s = await w.socket(1);
  s.onmessage?.({ data: "not json" });
  s.outputs("before hello");
  s.says({ type: "hello", start: "x" });
  s.says({ type: "ran", id: "never-sent", fresh: true });
  s.says({ type: "hello", start: 0, end: 0 });
  s.outputs("ok");
  assert.equal(w.shown, "ok");
});
