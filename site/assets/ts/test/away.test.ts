// What a page does when its connection is dead although nobody closed it, as behind a proxy that stopped forwarding.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { World } from "./world.js";

const turn = (): Promise<void> => new Promise((go) => setImmediate(go));

/** open is a connected world whose clock stands still. */
async function open(t: TestContext): Promise<World> {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  const w = new World();
  t.after(() => w.link.close());
  await w.start();
  return w;
}

/** pass lets time go by in small steps, so that timers and answers take turns. */
async function pass(t: TestContext, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 250) {
    t.mock.timers.tick(Math.min(250, left));
    await turn();
  }
}

const pings = (w: World): number => w.sockets[0]!.controls.filter((c) => c.type === "ping").length;

test("a silent connection is asked, and one that answers is kept", async (t) => {
  const w = await open(t);
  for (let i = 0; i < 10; i++) {
    const asked = pings(w);
    await pass(t, 4_000);
    assert.ok(pings(w) > asked, "nothing was asked");
    w.sockets[0]!.says({ type: "pong" });
  }
  assert.equal(w.link.state, "open");
});

test("a connection without an answer is given up within ten seconds", async (t) => {
  const w = await open(t);
  await pass(t, 8_500);
  assert.equal(w.sockets[0]!.readyState, 3);
  assert.ok(w.states.includes("waiting"), String(w.states));
});

test("a connection that takes a large paste slowly is kept while the server can be reached", async (t) => {
  const w = await open(t);
  w.reachable = true;
  w.link.input("x".repeat(100_000));
  await pass(t, 30_000);
  assert.equal(w.link.state, "open");
  w.reachable = false;
  await pass(t, 5_000);
  assert.notEqual(w.link.state, "open");
});

test("a computer that slept asks before it gives up", async (t) => {
  const w = await open(t);
  t.mock.timers.setTime(1_000_000 + 3_600_000);
  await pass(t, 500);
  assert.equal(w.link.state, "open");
  w.sockets[0]!.says({ type: "pong" });
  await pass(t, 2_000);
  assert.equal(w.link.state, "open");
});

test("keys typed into a connection that does not answer are kept back, and dropped when they are old", async (t) => {
  const w = await open(t);
  w.link.input("a");
  await pass(t, 2_000);
  w.link.input("b");
  assert.equal(w.sockets[0]!.typed, "a");
  w.sockets[0]!.says({ type: "pong" });
  assert.equal(w.sockets[0]!.typed, "ab", "an answer lets them go");
  await pass(t, 10_000);
  w.link.input("old");
  const next = w.sockets[w.sockets.length - 1]!;
  await pass(t, 9_000);
  w.link.input("new");
  await pass(t, 4_000);
  const last = w.sockets[w.sockets.length - 1]!;
  last.says({ type: "hello", start: 0, end: 0 });
  assert.equal(last.typed, "new");
  assert.equal(next.typed.includes("old"), false);
});

test("a run that was not typed in time fails, is not sent later, and can be offered again under its id", async (t) => {
  const w = await open(t);
  const ran = assert.rejects(w.link.run("block-1", "docker ps\n"), { code: "undelivered" });
  const sent = w.sockets[0]!.controls.find((c) => c.type === "run");
  assert.equal(sent?.before, 1_000_000 + 5_000 + 10_000, "the server must know until when, by its own clock");
  await pass(t, 12_000);
  await ran;
  const next = w.sockets[w.sockets.length - 1]!;
  next.says({ type: "hello", start: 0, end: 0 });
  assert.equal(next.controls.some((c) => c.type === "run"), false, "it is sent later all the same");
  const again = w.link.run("block-1", "docker ps\n");
  next.says({ type: "ran", id: "block-1", fresh: true });
  assert.equal(await again, true);
});

test("a run that the server found too late fails", async (t) => {
  const w = await open(t);
  const ran = assert.rejects(w.link.run("block-1", "docker ps\n"), { code: "undelivered" });
  w.sockets[0]!.says({ type: "ran", id: "block-1", fresh: false, late: true });
  await ran;
});

test("a page in the background neither brings its size nor changes it, and one that is typed in does", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
  const w = new World();
  t.after(() => w.link.close());
  w.used = false;
  const s = await w.start();
  assert.deepEqual([s.url.searchParams.get("cols"), s.url.searchParams.get("rows")], ["0", "0"]);
  w.link.resize(100, 30);
  assert.equal(s.controls.some((c) => c.type === "resize"), false);
  w.used = true;
  w.link.input("x");
  assert.deepEqual(s.controls.filter((c) => c.type === "resize"), [{ type: "resize", cols: 80, rows: 24 }]);
  w.link.input("y");
  assert.equal(s.controls.filter((c) => c.type === "resize").length, 1, "not for each key");
  await pass(t, 3_000);
  s.says({ type: "pong" });
  w.link.input("z");
  assert.equal(s.controls.filter((c) => c.type === "resize").length, 2, "another page may have changed it since");
});
