// What a site stores in a browser: progress, where the reader stopped, answers to quizzes, pages
// for offline reading. The site is built with `sitegen build` below a base path and served as plain
// files.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createServer } from "node:http";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Labd, openBrowser } from "./labd.mjs";
import { newLearner, shot, until } from "./page.mjs";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const bin = process.env.SITEGEN_BIN ?? join(here, "..", "bin", "sitegen");
const base = "/c/";
const csp =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'";
const types = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
};

const lesson = (title, next) => `+++
title = "${title}"
weight = 1
+++
## First part

See [the other](${next}.md#second-part).

![a box](/m/box.svg)

${"Filler.\n\n".repeat(60)}

## Second part

${"Filler.\n\n".repeat(60)}

:::quiz Which command lists *all* containers?
- [ ] \`docker ps\`
  Only running ones.
- [x] \`docker ps -a\`
  With \`-a\` also those that have ended.
:::
`;

const content = {
  "en/_index.md": '+++\ntitle = "Course"\nsummary = "Learn."\n+++\n',
  "zh/_index.md": '+++\ntitle = "课程"\n+++\n',
  "en/m/_index.md": '+++\ntitle = "Module"\n+++\n',
  "zh/m/_index.md": '+++\ntitle = "模块"\n+++\n',
  "en/m/one.md": lesson("One", "two"),
  "zh/m/one.md": lesson("第一课", "two"),
  "en/m/two.md": lesson("Two", "one"),
  "en/m/three.md": '+++\ntitle = "Three"\n+++\nShort. A [volume](/glossary/#volume) stays.\n',
  "en/glossary.md": '+++\ntitle = "Glossary"\n+++\nVolume\n: Storage that outlives a container.\n',
  "en/more/_index.md": '+++\ntitle = "More"\nsummary = "A further course."\n+++\n',
  "en/more/deep/_index.md": '+++\ntitle = "Deep"\n+++\n',
  "en/more/deep/down.md": '+++\ntitle = "Down"\n+++\nText.\n',
  "en/m/box.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40"/></svg>',
};

let dir, site, browser;

async function write(name, text) {
  const file = join(dir, "content", name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

const build = (out = "public") => run(bin, ["build", "-force", "-base-url", `http://127.0.0.1${base}`, "-out", out], { cwd: dir });

/**
 * Serves a folder below the base path. It can be stopped, to simulate a lost network, and records
 * requests.
 */
class Files {
  asked = [];
  extra = {}; // responses that are not files, by path

  constructor(root) {
    this.root = root;
  }

  async start(port = 0) {
    this.server = createServer(async (req, res) => {
      const path = decodeURIComponent(new URL(req.url, "http://x").pathname);
      this.asked.push(path);
      const headers = { "Content-Security-Policy": csp, "Cache-Control": "no-cache" };
      try {
        if (/\/extra\/\d+\/$/.test(path)) {
          res.writeHead(200, { ...headers, "Content-Type": "text/html" }).end(`<!doctype html><title>${path}</title>`);
          return;
        }
        if (path === `${base}large`) {
          res.writeHead(200, { ...headers, "Content-Type": "text/plain" }).end("x".repeat(6_000_000));
          return;
        }
        if (path in this.extra) {
          res.writeHead(200, { ...headers, "Content-Type": "text/javascript" }).end(this.extra[path]);
          return;
        }
        let file = join(this.root, path.startsWith(base) ? path.slice(base.length) : "nothing");
        if ((await stat(file)).isDirectory()) file = join(file, "index.html");
        const data = await readFile(file);
        res.writeHead(200, { ...headers, "Content-Type": types[extname(file)] ?? "text/plain" }).end(data);
      } catch {
        res.writeHead(404, headers).end("not found");
      }
    });
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}${base}`;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Serves the built site on another port, which is another origin. */
async function serveNew(t, root = join(dir, "public")) {
  const s = new Files(root);
  await s.start();
  t.after(() => s.stop().catch(() => {}));
  return s;
}

/** The service worker of the live preview, which removes itself. */
async function previewWorker(t) {
  const p = spawn(bin, ["serve", "-addr", "127.0.0.1:0", "-base-url", `http://127.0.0.1${base}`], { cwd: dir, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => p.kill("SIGTERM"));
  const url = await new Promise((resolve, reject) => {
    p.once("exit", (code) => reject(new Error(`sitegen ended with ${code}`)));
    p.stdout.on("data", (d) => {
      const m = /serving (http:\/\/\S+?)\/ /.exec(String(d));
      if (m) resolve(m[1]);
    });
  });
  return (await fetch(`${url}${base}sw.js`)).text();
}

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "pages-e2e-"));
  for (const [name, text] of Object.entries(content)) await write(name, text);
  await build();
  site = new Files(join(dir, "public"));
  await site.start();
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await site?.stop();
  await rm(dir, { recursive: true, force: true });
});

const store = `labd.progress.1:${base}`;
const ticked = (page) => page.locator("[data-nav] a.is-done").allTextContents();
/** Waits until the service worker controls the page. */
const worked = (page) => page.waitForFunction(() => navigator.serviceWorker.controller !== null);
const kept = (page) =>
  page.evaluate(async () => {
    const out = [];
    for (const name of await caches.keys()) for (const r of await (await caches.open(name)).keys()) out.push(new URL(r.url).pathname);
    return out;
  });
/** Waits until the service worker has cached a URL. */
const settled = (page, path) =>
  until(page, async (p) => {
    for (const name of await caches.keys()) if (await (await caches.open(name)).match(p)) return true;
    return false;
  }, path);

test("marking a lesson as done by keyboard shows in all lists", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${site.url}m/one/`);
  assert.deepEqual(await ticked(page), []);
  await page.getByRole("checkbox", { name: "Mark as done" }).focus();
  await page.keyboard.press("Space");
  assert.deepEqual(await ticked(page), ["One (done)"]);
  await page.goto(`${site.url}m/`);
  await page.getByRole("link", { name: /One.*\(done\)/ }).first().waitFor();
  await page.getByText("1 of 3 lessons done").waitFor();
  await shot(page, "pages-module-progress");
  await page.goto(site.url);
  await page.getByText("1 of 3 lessons done").first().waitFor();
  await page.goto(`${site.url}zh/m/one/`);
  assert.deepEqual(await ticked(page), ["第一课 (已学完)"]);
  await page.getByRole("checkbox", { name: "标记为已学完" }).uncheck();
  assert.deepEqual(await ticked(page), []);
  await page.reload();
  assert.equal(await page.getByRole("checkbox").isChecked(), false);
});

test("a lesson read to the end gets a tick, one that was only opened does not", async (t) => {
  const page = await newLearner(t, browser);
  await page.clock.install();
  await page.goto(`${site.url}m/one/`);
  await page.clock.fastForward(60_000);
  assert.deepEqual(await ticked(page), []);
  const end = page.locator("[data-done-box]");
  await end.scrollIntoViewIfNeeded();
  await page.waitForFunction(() => {
    const r = document.querySelector("[data-done-box]").getBoundingClientRect();
    return r.top < innerHeight;
  });
  while (!(await end.isChecked())) await page.clock.runFor(500);
  assert.deepEqual(await ticked(page), ["One (done)"]);
  // A tick that the reader removed stays removed.
  await end.uncheck();
  await page.reload();
  await end.scrollIntoViewIfNeeded();
  await page.clock.runFor(30_000);
  assert.deepEqual(await ticked(page), []);
});

test("ticks appear in other tabs", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${site.url}m/`);
  const other = await page.context().newPage();
  await other.goto(`${site.url}m/two/`);
  await other.getByRole("checkbox", { name: "Mark as done" }).check();
  await page.getByText("1 of 3 lessons done").waitFor();
});

test("a lab that is done in labd gets a tick, and so does its lesson; labd is not asked about readers who never started a lab", async (t) => {
  // The site and API of a real labd without an engine. The done lab is added to its answer.
  const labd = await Labd.create({ subnets: "10.236.0.0/16", env: { DOCKER_HOST: "unix:///nonexistent/docker.sock" }, labs: "off" });
  t.after(() => labd.close());
  const page = await newLearner(t, browser);
  let asked = 0;
  await page.route("**/api/v1/progress", async (route) => {
    asked++;
    const response = await route.fetch();
    const answer = await response.json();
    assert.deepEqual(answer, { labs: {} });
    answer.labs["first-container"] = { steps: {}, done: true };
    answer.labs["compose-two-services"] = { steps: {}, done: false };
    await route.fulfill({ response, json: answer });
  });
  await page.goto(`${labd.url}/`);
  await page.goto(`${labd.url}/containers/`);
  await page.waitForLoadState("networkidle");
  assert.equal(asked, 0);
  assert.deepEqual(await page.context().cookies(), []);
  // The traces of a lab that was started in this tab.
  await page.evaluate(() => sessionStorage.setItem("labd.live.first-container", "yes"));
  await page.goto(`${labd.url}/containers/`);
  await page.locator(".lesson-list a.is-done", { hasText: "Running containers" }).waitFor();
  assert.deepEqual(await ticked(page), ["Running containers (done)"]);
  await page.goto(`${labd.url}/labs/`);
  assert.deepEqual(await page.locator(".lab-card a.is-done").allTextContents(), ["First containers (done)"]);
  await page.goto(`${labd.url}/containers/running-containers/`);
  const box = page.getByRole("checkbox", { name: "Mark as done" });
  assert.equal(await box.isChecked(), true);
  await box.uncheck();
  await page.reload();
  assert.equal(await box.isChecked(), false);
  await settled(page, "/containers/running-containers/");
  await page.unrouteAll({ behavior: "wait" }); // wait for responses under way
  await labd.stop();
  await page.reload();
  await page.getByRole("heading", { name: "Running containers", exact: true }).waitFor();
});

test("the page works with any content of the browser's storage", async (t) => {
  for (const bad of ["{", "null", "[]", '"x"', '{"done":[1],"last":{"a":1},"quiz":7}', '{"last":[{"page":"//evil.example/","course":"","title":"x","section":"","heading":""}]}', "x".repeat(400_000)]) {
    const page = await newLearner(t, browser);
    await page.addInitScript(([k, v]) => sessionStorage.getItem("set") ?? (localStorage.setItem(k, v), sessionStorage.setItem("set", "1")), [store, bad]);
    await page.goto(site.url);
    assert.equal(await page.locator("[data-resume] a").count(), 0, bad.slice(0, 40));
    await page.goto(`${site.url}m/two/`);
    await page.getByRole("checkbox", { name: "Mark as done" }).check();
    assert.deepEqual(await ticked(page), ["Two (done)"], bad.slice(0, 40));
    await page.reload();
    assert.deepEqual(await ticked(page), ["Two (done)"], bad.slice(0, 40));
    await page.context().close();
  }
});

test("without storage, ticks last as long as the page", async (t) => {
  const page = await newLearner(t, browser);
  await page.addInitScript(() => Object.defineProperty(window, "localStorage", { get: () => { throw new DOMException("no", "SecurityError"); } }));
  await page.goto(`${site.url}m/two/`);
  await page.getByRole("checkbox", { name: "Mark as done" }).check();
  assert.deepEqual(await ticked(page), ["Two (done)"]);
});

test("a returning reader gets a link to where they stopped, without a layout shift", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(site.url);
  assert.equal(await page.locator("[data-resume] a").count(), 0);
  await page.goto(`${site.url}m/one/#second-part`);
  await page.locator('[data-toc] a[aria-current][href="#second-part"]').waitFor();
  await page.addInitScript(() => {
    window.shifts = 0;
    new PerformanceObserver((l) => l.getEntries().forEach((e) => (window.shifts += e.value))).observe({ type: "layout-shift", buffered: true });
  });
  await page.goto(site.url);
  const link = page.locator("[data-resume] a");
  assert.equal(await link.textContent(), "One › Second part");
  await shot(page, "pages-home-returning");
  assert.equal(await page.evaluate(() => window.shifts), 0);
  await link.click();
  await page.waitForURL(`${site.url}m/one/#second-part`);
  await page.goto(`${site.url}zh/`);
  assert.equal(await page.locator("[data-resume] a").textContent(), "第一课");
});

test("each course has its own progress and its own place to continue", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${site.url}more/deep/down/`);
  await page.getByRole("checkbox", { name: "Mark as done" }).check();
  await page.goto(`${site.url}m/two/`);
  await page.goto(`${site.url}more/`);
  assert.equal(await page.locator("[data-resume] a").textContent(), "Down");
  await page.getByText("1 of 1 lessons done").first().waitFor();
  await shot(page, "pages-course");
  await page.goto(site.url);
  assert.equal(await page.locator("[data-resume] a").textContent(), "Two");
  assert.equal(await page.getByText("lessons done").first().isVisible(), false);
});

test("a glossary term shows its meaning by mouse and keyboard, and Escape hides it", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${site.url}m/three/`);
  const term = page.getByRole("link", { name: "volume" });
  await term.focus();
  const tip = page.getByRole("tooltip");
  await tip.getByText("Storage that outlives a container.").waitFor();
  assert.equal(await term.getAttribute("aria-describedby"), await tip.getAttribute("id"));
  await shot(page, "pages-term");
  await page.keyboard.press("Escape");
  await tip.waitFor({ state: "detached" });
  await term.hover();
  await tip.hover();
  assert.equal(await tip.isVisible(), true);
});

test("a quiz can be answered by keyboard, explains the answer, and is stored", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${site.url}m/one/`);
  const quiz = page.getByRole("group", { name: "Which command lists all containers?" });
  await quiz.getByRole("button", { name: "Check" }).waitFor(); // its script is loaded
  await quiz.getByRole("radio").first().focus();
  await page.keyboard.press("Space");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await quiz.getByRole("status").getByText("Not quite").waitFor();
  await quiz.locator(".quiz-why").getByText("Only running ones.").waitFor();
  await shot(page, "pages-quiz");
  await quiz.getByRole("radio").first().focus();
  await page.keyboard.press("ArrowDown");
  assert.equal(await quiz.getByRole("status").textContent(), "");
  await page.keyboard.press("Enter");
  await quiz.getByRole("status").getByText("Right!").waitFor();
  assert.equal(await quiz.locator(".quiz-why li").getAttribute("value"), "2");
  await page.reload();
  await quiz.getByRole("status").getByText("Right!").waitFor();
  assert.equal(await quiz.getByRole("radio").nth(1).isChecked(), true);
  await page.goto(`${site.url}m/two/`);
  assert.equal(await page.getByRole("status").first().textContent(), "");
});

test("the print page of a module has all its lessons, and its links stay on the page", async (t) => {
  const page = await newLearner(t, browser);
  await page.goto(`${site.url}m/`);
  await page.getByRole("link", { name: "Print this module" }).click();
  await page.waitForURL(`${site.url}m/print/`);
  const broken = await page.evaluate(() => {
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
    const twice = ids.filter((id, i) => ids.indexOf(id) !== i);
    const lost = [...document.querySelectorAll('a[href^="#"]')].map((a) => a.hash.slice(1)).filter((id) => !ids.includes(id));
    return [...twice, ...lost];
  });
  assert.deepEqual(broken, []);
  assert.equal(await page.locator('a[href="#two--second-part"]').count(), 1);
  assert.equal(await page.locator("header.top, footer, [data-nav]").count(), 0);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.getByText("With -a also those that have ended.").first().isVisible(), true);
  assert.equal(await page.getByRole("button", { name: "Print" }).isVisible(), false);
});

test("visited pages can be read offline, other pages lead to a list of them", async (t) => {
  const files = await serveNew(t);
  const page = await newLearner(t, browser);
  await page.goto(`${files.url}m/one/`);
  await worked(page);
  await settled(page, `${base}m/one/`);
  await page.goto(files.url);
  await settled(page, base);
  await files.stop();
  await page.goto(`${files.url}m/one/`);
  await page.getByRole("heading", { name: "One" }).waitFor();
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.querySelector("[data-nav]")).position), "static", "styles are missing");
  await page.getByRole("checkbox", { name: "Mark as done" }).check();
  await page.goto(`${files.url}m/two/`);
  await page.getByRole("heading", { name: "You are offline" }).waitFor();
  await page.locator("[data-readable] a").nth(1).waitFor();
  assert.deepEqual(await page.locator("[data-readable] a").evaluateAll((l) => l.map((a) => a.getAttribute("href"))), [base, `${base}m/one/`]);
  await shot(page, "pages-offline");
  await page.goto(`${files.url}zh/m/one/`);
  await page.getByRole("heading", { name: "当前没有网络" }).waitFor();
  await page.goto(`${files.url}m/two/`);
  await files.start(files.port);
  await page.goto(`${files.url}m/two/`);
  await page.getByRole("heading", { name: "Two", exact: true }).waitFor();
});

test("a saved course can be read and searched offline, with its images", async (t) => {
  const files = await serveNew(t);
  const page = await newLearner(t, browser);
  await page.goto(files.url);
  const button = page.getByRole("button", { name: /^Save this course for offline reading \(0\.\d MB\)$/ });
  await button.click();
  await page.getByText("Saved. You can now read and search this course without a network.").waitFor();
  await shot(page, "pages-saved");
  await files.stop();
  await page.goto(`${files.url}m/two/`);
  await page.getByRole("heading", { name: "Two", exact: true }).waitFor();
  await page.waitForFunction(() => [...document.images].every((i) => i.complete && i.naturalWidth > 0));
  // On the search page, in the dialog, and in the other language once its course is saved too.
  await page.goto(`${files.url}search/`);
  await page.getByRole("combobox").fill("secnd part");
  await page.getByRole("option", { name: /Second part/ }).first().click();
  await page.waitForURL(`${files.url}m/*/#second-part`);
  await page.keyboard.press("/");
  await page.getByRole("combobox").fill("filler");
  await page.getByRole("option", { name: /Second part/ }).first().waitFor();
  await files.start(files.port);
  await page.goto(`${files.url}zh/`);
  await page.getByRole("button", { name: /^保存本课程/ }).click();
  await page.getByText("已保存，没有网络时也可以阅读和搜索。").waitFor();
  await files.stop();
  await page.goto(`${files.url}zh/search/`);
  await page.getByRole("combobox").fill("第一课");
  await page.getByRole("option", { name: /第一课/ }).first().click();
  await page.getByRole("heading", { name: "第一课", exact: true }).waitFor();
});

test("pages are network-first, and old files stay for open pages", async (t) => {
  const out = join(dir, "changing");
  await build("changing");
  const files = await serveNew(t, out);
  const page = await newLearner(t, browser);
  await page.goto(`${files.url}m/three/`);
  await worked(page);
  await settled(page, `${base}m/three/`);
  const other = await page.context().newPage();
  await other.goto(`${files.url}m/one/`);
  await write("en/m/three.md", '+++\ntitle = "Three"\n+++\nChanged.\n');
  t.after(() => write("en/m/three.md", content["en/m/three.md"]));
  await build("changing");
  await page.reload();
  await page.getByText("Changed.").waitFor();
  // A new worker takes over and keeps the cache.
  await writeFile(join(out, "sw.js"), `${await readFile(join(out, "sw.js"), "utf8")}\n// new`);
  await page.evaluate(async () => {
    const r = await navigator.serviceWorker.getRegistration();
    const changed = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
    await r.update();
    await changed;
  });
  await files.stop();
  await page.reload();
  await page.getByText("Changed.").waitFor();
  await other.reload();
  await other.getByRole("heading", { name: "One" }).waitFor();
});

test("the service worker does not handle labd's paths and queries", async (t) => {
  const files = await serveNew(t);
  files.extra["/api/v1/status"] = "{}";
  files.extra["/healthz"] = "ok";
  const page = await newLearner(t, browser);
  await page.goto(`${files.url}m/one/`);
  await worked(page);
  await page.reload();
  files.asked.length = 0;
  for (let i = 0; i < 2; i++) await page.evaluate(async () => Promise.all(["/api/v1/status", "/healthz"].map(async (p) => (await fetch(p)).text())));
  assert.equal(files.asked.filter((p) => p === "/api/v1/status" || p === "/healthz").length, 4);
  const all = await kept(page);
  assert.deepEqual(all.filter((p) => !p.startsWith(base) || p.endsWith("sw.js")), []);
  assert.equal(new Set(all).size, all.length);
});

test("the cache has a limit: the oldest page goes, explicitly saved pages stay", async (t) => {
  const files = await serveNew(t);
  const page = await newLearner(t, browser);
  await page.goto(files.url);
  await page.getByRole("button", { name: /^Save this course/ }).click();
  await page.getByText("Saved. You can now read and search this course without a network.").waitFor();
  const saved = (await kept(page)).filter((p) => p.endsWith("/")).length;
  // A file that is too large for the cache, and more pages than fit into it. They are cached one at
  // a time.
  await page.evaluate(
    async ([base]) => {
      await (await fetch(`${base}large`)).text();
      for (let i = 0; i < 310; i++) await (await fetch(`${base}extra/${i}/`)).text();
    },
    [base],
  );
  await settled(page, `${base}extra/309/`);
  // old entries are removed after each new one
  await until(page, async (p) => !(await caches.match(p)), `${base}extra/9/`);
  const all = await kept(page);
  assert.equal(all.filter((p) => p.includes("/extra/")).length, 300);
  assert.ok(!all.includes(`${base}extra/9/`) && all.includes(`${base}extra/10/`), "the oldest went first");
  assert.ok(!all.includes(`${base}large`));
  assert.equal(all.filter((p) => p.endsWith("/") && !p.includes("/extra/")).length, saved);
});

test("a site without a service worker removes the old one and its cache", async (t) => {
  const files = await serveNew(t);
  const page = await newLearner(t, browser);
  await page.goto(`${files.url}m/one/`);
  await worked(page);
  await settled(page, `${base}m/one/`);
  files.extra[`${base}sw.js`] = await previewWorker(t);
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
  await until(page, async () => (await navigator.serviceWorker.getRegistrations()).length === 0 && (await caches.keys()).length === 0);
  await page.goto(`${files.url}m/two/`);
  await page.getByRole("heading", { name: "Two", exact: true }).waitFor();
});
