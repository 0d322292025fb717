// Other situations of a lab: time runs out, the class is full, no engine, no labd, several
// terminals, a node out of memory, a restart of labd while a learner types. Uses a real engine,
// gVisor and browser.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";
import { Labd, buildSite, openBrowser } from "./labd.mjs";
import { endLab, newLearner, patience, sees, shot, startButton, startLab, type, until } from "./page.mjs";

let labd, short, browser; // short allows two sessions of one minute
let ending; // a session of short that expires while the tests run; the last test looks at it
before(async () => {
  [labd, short, browser] = await Promise.all([
    Labd.create(),
    Labd.create({
      subnets: "10.232.0.0/16",
      limits: 'sessions = 2\nper_learner = 1\nsession_ttl = "1m"\nsession_max = "3m"\nwarn_before = "58s"',
    }),
    openBrowser(),
  ]);
  ending = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage();
  await startLab(ending, short);
});
after(async () => {
  await browser?.close();
  await Promise.all([labd?.close(), short?.close()]);
});

const button = (page, name) => page.getByRole("button", { name, exact: true });
const card = (page) => page.locator(".lab-launch").first();
const soon = { timeout: patience };

const session = (page) => page.evaluate(async () => (await (await fetch("/api/v1/sessions?lab=first-container")).json()).sessions[0]);
const expires = async (page) => Date.parse((await session(page)).expires_at);

/** Checks that the lab's text is shown and that its commands can be copied. */
async function canBeRead(page) {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  assert.equal(await page.locator("section.step").count(), 6);
  const block = page.locator("section.step .code").first();
  await block.hover();
  await block.locator("[data-copy]").click();
  await until(page, async () => (await navigator.clipboard.readText()).trim() === "docker run hello-world");
}


test("the end of the session is announced early, and a click extends it", async (t) => {
  const one = await newLearner(t, browser);
  await startLab(one, short);
  const notice = one.locator(".lab-notice").filter({ hasText: "The lab ends in" });
  await notice.waitFor(soon);
  await shot(one, "states-time");
  const before = await expires(one);
  await notice.getByRole("button", { name: "Give me more time" }).click();
  await one.getByRole("status").filter({ hasText: "The lab now ends at" }).waitFor({ state: "attached", ...soon });
  assert.ok((await expires(one)) > before, "the session's end did not move");

  await t.test("when the class is full the page says so, and the learner can try again", async () => {
    const late = await newLearner(t, browser);
    await late.goto(short.url + "/labs/first-container/");
    await startButton(late).click();
    await card(late).getByText("All 2 places of this class are taken", { exact: false }).waitFor(soon);
    await shot(late, "states-full");
    await endLab(one);
    await card(late).getByRole("button", { name: "Try again" }).click();
    await sees(late, "# ");
    await endLab(late);
  });
});

test("without an engine the pages say why, and can be read and copied from", async (t) => {
  const off = await Labd.create({ subnets: "10.233.0.0/16", env: { DOCKER_HOST: "unix:///nonexistent/docker.sock" }, labs: "off" });
  t.after(() => off.close());
  const page = await newLearner(t, browser);
  await page.goto(off.url + "/");
  await page.goto(off.url + "/labs/first-container/");
  await card(page).getByText("Labs are off on this server").waitFor(soon);
  await card(page).getByText("the container engine of this server does not answer", { exact: false }).waitFor(soon);
  await canBeRead(page);
  await shot(page, "states-off");
});

test("on a static host the lab says that it needs a lab server, and can be read and copied from", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "labd-e2e-static-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  await buildSite(join(dir, "public"));
  const host = await serve(t, join(dir, "public"));
  const page = await newLearner(t, browser);
  await page.goto(host + "/labs/first-container/");
  await page.getByText("No lab server here").waitFor(soon);
  assert.equal(await startButton(page).isVisible(), false);
  await canBeRead(page);
  await shot(page, "states-static");
});

test("a learner opens, switches and closes terminals", async (t) => {
  const page = await newLearner(t, browser);
  await startLab(page, labd);
  await type(page, "me=first; echo $me-$((6*7))");
  await sees(page, "first-42");
  await button(page, "New terminal").click();
  await page.getByRole("tab", { name: "node1 terminal 2", selected: true }).waitFor(soon);
  await sees(page, "# ");
  await type(page, "echo second-${me:-none}");
  await sees(page, "second-none");
  await shot(page, "states-terminals");

  await page.keyboard.press("Control+Shift+BracketLeft");
  await sees(page, "first-42");
  await page.keyboard.type("echo back-$me\n");
  await sees(page, "back-first");
  await page.getByRole("tab", { selected: true }).focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("Enter");
  await page.keyboard.type("echo again-${me:-none}\n");
  await sees(page, "again-none");

  await page.keyboard.press("Control+Shift+BracketRight");
  await page.getByRole("tab", { name: "node1 terminal 1", selected: true }).waitFor(soon);
  await button(page, "Close node1 terminal 2").click();
  await page.getByRole("tab").nth(1).waitFor({ state: "detached", ...soon });
  await page.keyboard.type("echo still-$me\n");
  await sees(page, "still-first");
  assert.equal((await session(page)).terminals.length, 1);

  await t.test("input typed during a restart of labd arrives in order and only once", async () => {
    // labd forwards input until its close frame is answered, and the page keeps what is typed after
    // that. Only input that the browser drops while the socket closes is lost: one small gap.
    await type(page, "clear; echo list''ening; read -r typed");
    await sees(page, "listening");
    let back = false;
    let restart;
    let text = "";
    for (let n = 0; !back || text.length < 200; n++) {
      if (n === 20) restart = labd.restart().finally(() => (back = true));
      await page.keyboard.type(`${n}.`);
      text += `${n}.`;
    }
    await restart;
    await page.keyboard.type("\nclear; echo \"[$typed]\"\n");
    const got = await (await page.waitForFunction(
      () => /\[([0-9.]+)\]/.exec(document.querySelector(".lab-terminal:not([hidden]) .xterm-rows")?.textContent ?? "")?.[1],
      null,
      soon,
    )).jsonValue();
    let same = 0;
    while (same < got.length && got[same] === text[same]) same++;
    assert.ok(text.endsWith(got.slice(same)), `typed ${text}\n  got ${got}`);
    assert.ok(text.length - got.length <= 60, `${text.length - got.length} characters were lost: ${got}`);
  });

  await t.test("a program that uses up the node's memory is ended, and the node goes on", async () => {
    await type(page, "clear; tail /dev/zero; echo status-$?");
    await sees(page, "status-137");
  });

  await t.test("a node that ran out of memory is restarted, and the page says so", async () => {
    // A process with this score is never chosen, so the host's limit ends the node.
    await type(page, "clear; echo kept > /root/kept; sync; echo -1000 > /proc/self/oom_score_adj; tail /dev/zero");
    await page.locator(".lab-notice").filter({ hasText: "ran out of memory" }).waitFor(soon);
    await shot(page, "states-memory");
  });
  await endLab(page);
  assert.deepEqual(await labd.remains(), []);
});

test("an expired lab says so, and can be started again", async () => {
  await ending.locator(".lab-over").getByText("The lab has ended").waitFor({ timeout: 80_000 });
  await ending.locator(".lab-over").getByRole("button", { name: "Start again" }).waitFor(soon);
  await shot(ending, "states-over");
  await ending.context().close();
  assert.deepEqual(await short.remains(), []);
});

/** Runs a static web server that knows nothing about labs. Returns its URL. */
async function serve(t, root) {
  const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
  const server = createServer(async (request, response) => {
    let path = normalize(new URL(request.url, "http://host").pathname);
    if (path.endsWith("/")) path += "index.html";
    try {
      const body = await readFile(join(root, path));
      response.writeHead(200, { "Content-Type": types[extname(path)] ?? "application/octet-stream" }).end(body);
    } catch {
      response.writeHead(404, { "Content-Type": "text/html" }).end("<h1>Not found</h1>");
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}
