// Labs behind the reverse proxies of the guide: labd's own site behind nginx and Caddy, a static
// site that forwards the API, and sitegen's preview. The configurations come from the guide's text;
// only paths and addresses of the operator's machine are replaced. Uses real servers, https,
// engine, gVisor and browser.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { X509Certificate, createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Labd, buildSite, openBrowser } from "./labd.mjs";
import { Course } from "./course.mjs";
import { endLab, newLearner, patience, runBlock, sees, shot, startButton, stepIs } from "./page.mjs";

const run = promisify(execFile);
const guide = join(dirname(fileURLToPath(import.meta.url)), "..", "content", "en", "guide", "operations");
const soon = { timeout: patience };

/** Host names in the guide's examples. */
const own = "https://labs.example.org";
const site = "https://course.example.org";

const course = {
  "content/en/_index.md": '+++\ntitle = "Course"\n+++\n',
  "content/en/m/_index.md": '+++\ntitle = "Module"\n+++\n',
  "content/en/m/first.md": '+++\ntitle = "A lesson"\nlab = "hello"\n+++\nWords of the lesson.\n',
  "labs/hello/lab.md": `+++
title = "Hello"
summary = "One container."
level = "beginner"
minutes = 5

[stack]
images = ["hello-world"]
+++
## Run a container {#hello}

It says something and ends.

\`\`\`bash {run}
docker run hello-world
\`\`\`

\`\`\`check
[[container]]
image = "hello-world"
status = "exited"
exit_code = 0
\`\`\`

\`\`\`solution
docker run hello-world
\`\`\`
`,
};

// of the course, certificates and servers' files; readable for nginx's workers, which are not root
let dir;
let front; // the browser resolves example.org to it
let behind, beside; // labds with and without their own site
let browser;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), "proxy-"));
  await chmod(dir, 0o755);
  for (const [name, text] of Object.entries(course)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), text);
  }
  const names = [own, site].map((url) => `DNS:${new URL(url).hostname}`).join(",");
  await run("openssl", [
    ...["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2", "-subj", "/CN=labs"],
    ...["-addext", `subjectAltName=${names}`, "-keyout", join(dir, "site.key"), "-out", join(dir, "site.crt")],
  ]);
  const known = createHash("sha256")
    .update(new X509Certificate(await readFile(join(dir, "site.crt"))).publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
  front = await Front.open();
  // The system chooses the port to listen on.
  const listen = ['listen = "127.0.0.1:8080"\n', ""];
  const folders = { content: `content_dir = "${dir}/content"\n`, labs: `labs_dir = "${dir}/labs"\n` };
  const withSite = replaced(await example("class.md", "lab.toml"), listen) + folders.content + folders.labs;
  const withoutSite = replaced(
    await example("static.md", "lab.toml"),
    listen,
    ['content_dir = "/srv/course/content"\n', folders.content],
    ['labs_dir = "/srv/course/labs"\n', folders.labs],
  );
  await Promise.all([
    Labd.create({ subnets: "10.234.0.0/16", settings: withSite }).then((l) => (behind = l)),
    Labd.create({ subnets: "10.235.0.0/16", settings: withoutSite }).then((l) => (beside = l)),
    openBrowser(`--host-resolver-rules=MAP *.example.org:443 127.0.0.1:${front.port}`, `--ignore-certificate-errors-spki-list=${known}`).then((b) => (browser = b)),
    buildSite(
      join(dir, "public"),
      ...["-content", join(dir, "content"), "-labs", join(dir, "labs"), "-cards", "off", "-cache", ""],
      ...["-base-url", site + "/", "-compress", "-labd"],
    ),
  ]);
});
after(async () => {
  await browser?.close();
  await Promise.all([behind?.close(), beside?.close(), front?.close()]);
  await rm(dir, { recursive: true, force: true });
});

/**
 * Forwards connections to the Unix socket of the server under test, so that no free port has to be
 * guessed.
 */
class Front {
  static async open() {
    const f = new Front();
    f.connections = new Set();
    f.server = createServer((from) => {
      const to = connect(f.socket);
      for (const [one, other] of [[from, to], [to, from]]) {
        f.connections.add(one);
        one.on("error", () => other.destroy());
        one.on("close", () => {
          f.connections.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    await new Promise((listening) => f.server.listen(0, "127.0.0.1", listening));
    f.port = f.server.address().port;
    return f;
  }

  /** Closes all connections. Caddy waits for them before it exits. */
  drop() {
    for (const c of this.connections) c.destroy();
  }

  close() {
    this.drop();
    return new Promise((closed) => this.server.close(closed));
  }
}

/** Reads a configuration from the guide. */
async function example(page, title) {
  const text = await readFile(join(guide, page), "utf8");
  const code = text.split(` {title="${title}"}\n`)[1]?.split("```\n")[0];
  assert.ok(code, `${page} has no block of code ${title}`);
  return code;
}

/** Replaces pairs of old and new text. Each old text must occur exactly once. */
function replaced(text, ...pairs) {
  for (const [old, now] of pairs) {
    assert.equal(text.split(old).length, 2, `the example does not have ${old} once:\n${text}`);
    text = text.replace(old, () => now);
  }
  return text;
}

/** Inserts text before the brace that ends config. */
const inside = (config, text) => config.replace(/\}\n$/, () => text + "}\n");

/** Runs a web server until the test ends. Returns when it accepts connections. */
async function serve(t, program, args, socket) {
  const p = spawn(program, args, {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin`, HOME: dir, XDG_CONFIG_HOME: dir, XDG_DATA_HOME: dir },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  p.stderr.on("data", (d) => (said += d));
  let over = "";
  const ended = new Promise((resolve) => {
    p.once("error", (err) => resolve((over = String(err))));
    p.once("exit", (code) => resolve((over = `it ended with ${code}`)));
  });
  t.after(async () => {
    p.kill("SIGINT");
    front.drop();
    await ended;
    await rm(socket, { force: true });
  });
  const accepts = () => new Promise((resolve) => {
    const c = connect(socket, () => resolve(true) || c.destroy());
    c.once("error", () => resolve(false));
  });
  while (!(await accepts())) {
    if (over) throw new Error(`${program}: ${over}\n${said}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
  front.socket = socket;
}

async function nginx(t, config, ...pairs) {
  const socket = join(dir, "nginx.sock");
  const text = replaced(config, ["listen 443 ssl;", `listen unix:${socket} ssl;`], ...pairs);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((what) => `${what}_temp_path ${dir}/${what};`).join("\n");
  // Otherwise Debian's nginx.conf, with all files inside the test's directory.
  await writeFile(
    join(dir, "nginx.conf"),
    `daemon off;\nuser www-data;\npid ${dir}/nginx.pid;\nerror_log stderr;\ninclude /etc/nginx/modules-enabled/*.conf;\nevents {}\n` +
      `http {\ninclude /etc/nginx/mime.types;\ndefault_type application/octet-stream;\naccess_log off;\n${temporary}\n${text}}\n`,
  );
  await serve(t, "nginx", ["-e", "stderr", "-c", join(dir, "nginx.conf")], socket);
}

async function caddy(t, config, host, ...pairs) {
  const socket = join(dir, "caddy.sock");
  const name = new URL(host).hostname;
  const begin = `${host} {\nbind unix/${socket}\ntls ${dir}/site.crt ${dir}/site.key`;
  const text = replaced(config, [`${name} {`, begin], ...pairs);
  await writeFile(join(dir, "Caddyfile"), `{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n${text}`);
  await serve(t, "caddy", ["run", "--adapter", "caddyfile", "--config", join(dir, "Caddyfile")], socket);
}

const certificate = (name) => [[`/etc/ssl/${name}.crt`, join(dir, "site.crt")], [`/etc/ssl/${name}.key`, join(dir, "site.key")]];
const labdIs = (labd) => ["127.0.0.1:8080", labd.listen];

/** Opens the lab of the site at url. */
async function begin(t, url) {
  const page = await newLearner(t, browser);
  await page.goto(`${url}/labs/hello/`);
  return page;
}

/** Does the open lab, then checks the WebSocket, the cookie and labd's progress. */
async function learn(page, url, labd, name) {
  const sockets = [];
  page.on("websocket", (ws) => sockets.push(ws.url()));
  await startButton(page).click();
  await sees(page, "# ");
  await runBlock(page, "hello", 0);
  await sees(page, "Hello from Docker!");
  await stepIs(page, "hello", "done");
  const { protocol, host, origin } = new URL(url);
  assert.ok(sockets.length > 0 && sockets.every((s) => s.startsWith(`${protocol === "https:" ? "wss" : "ws"}://${host}/api/v1/`)), String(sockets));
  const cookie = (await page.context().cookies(origin)).find((c) => c.name === "labd_learner");
  assert.deepEqual([cookie.path, cookie.httpOnly, cookie.secure, cookie.sameSite], ["/", true, true, "Strict"]);
  await shot(page, `proxy-${name}`);
  await endLab(page);
  assert.deepEqual(await labd.remains(), []);

  // Delete the browser's stored progress except that a lab was started: the tick must come from
  // labd.
  await page.evaluate(() => {
    localStorage.setItem(`labd.progress.1:${document.body.dataset.base}`, '{"labs": true}');
  });
  await page.goto(url + "/");
  await page.locator(".lab-card a.is-done", { hasText: "Hello" }).waitFor(soon);
  await page.locator("a.is-done", { hasText: "A lesson" }).first().waitFor(soon);
}

/**
 * Opens pages of a site whose labs cannot be reached. They must say so, be readable, and log one
 * failed request.
 */
async function away(t, status, name) {
  const page = await newLearner(t, browser);
  const said = new Set();
  page.on("console", (m) => said.add(`${m.text()} ${m.location().url}`));
  await page.goto(site + "/m/first/");
  await page.getByText("Words of the lesson.").waitFor(soon);
  await page.locator("aside .lab-launch").scrollIntoViewIfNeeded();
  await page.locator("aside").getByText("Labs can’t be reached").waitFor(soon);
  await shot(page, `proxy-${name}-lesson`);
  await page.goto(site + "/labs/hello/");
  await page.getByText("Labs can’t be reached").waitFor(soon);
  assert.ok(await page.getByText("It says something and ends.").isVisible());
  assert.equal(await startButton(page).isVisible(), false);
  // A set, because pages retry after a while.
  assert.deepEqual([...said], [`Failed to load resource: the server responded with a status of ${status} ${site}/api/v1/progress`]);
  await shot(page, `proxy-${name}`);
  return page;
}

test("labd's own site behind the guide's nginx", async (t) => {
  await nginx(t, await example("class.md", "nginx"), ...certificate("labs"), labdIs(behind));
  await learn(await begin(t, own), own, behind, "nginx");
});

test("labd's own site behind the guide's Caddy", async (t) => {
  await caddy(t, await example("class.md", "Caddyfile"), own, labdIs(behind));
  await learn(await begin(t, own), own, behind, "caddy");
});

test("a static site offers labs through the guide's Caddy", async (t) => {
  const config = inside(await example("static.md", "Caddyfile"), await example("static.md", "Caddyfile: labs"));
  await caddy(t, config, site, labdIs(beside), ["/srv/course/public", join(dir, "public")]);
  await learn(await begin(t, site), site, beside, "static-caddy");
});

test("a static site offers labs through the guide's nginx, and says when they cannot be reached", async (t) => {
  const alone = await example("static.md", "nginx");
  const pairs = [...certificate("course"), ["/srv/course/public", join(dir, "public")]];
  let page;
  await t.test("the API is not forwarded", async (own) => {
    await nginx(own, alone, ...pairs);
    page = await away(t, "404 (Not Found)", "not-passed");
  });
  await nginx(t, inside(alone, await example("static.md", "nginx: labs")), ...pairs, labdIs(beside));
  await page.getByRole("button", { name: "Try again" }).click();
  await learn(page, site, beside, "static-nginx");
  await t.test("labd is down for a while", async () => {
    await beside.stop();
    const late = await away(t, "502 (Bad Gateway)", "away");
    await beside.start();
    // it retries by itself with growing intervals
    await startButton(late).waitFor({ timeout: 90_000 });
  });
});

test("the preview of a site below a path offers labs", async (t) => {
  const labs = join(dir, "labs");
  const preview = await Course.open(
    Object.fromEntries(Object.entries(course).flatMap(([name, text]) => (name.startsWith("content/") ? [[name.slice("content/".length), text]] : []))),
    { args: ["-labs", labs, "-base-url", `${site}/course/`, "-labd", behind.url] },
  );
  t.after(() => preview.close());
  await learn(await begin(t, preview.url + "/course"), preview.url + "/course", behind, "preview");
});
