// Starts and stops a real labd and a real browser for the end-to-end tests.
//
// Environment variables: LABD_BIN (default ../bin/labd), SITEGEN_BIN (default ../bin/sitegen),
// CHROMIUM (default /usr/bin/chromium), and LABD_SEED_DIR, which labd reads.

import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const startLimit = 60_000;

/** The directory of screenshots. */
export const artifacts = join(here, "artifacts");

/** A data directory with a labd that can be stopped and started again on the same port. */
export class Labd {
  #process = null;
  #log = [];

  /**
   * Starts a labd. In overrides, settings, sandbox and limits are TOML (the latter two without
   * their section's header), subnets must differ between labds that run at the same time, env is
   * added to the environment, and labs ("ready" or "off") is the status to wait for.
   */
  static async create(overrides = {}) {
    const l = new Labd();
    l.dir = await mkdtemp(join(tmpdir(), "labd-e2e-"));
    l.overrides = overrides;
    l.listen = "127.0.0.1:0";
    try {
      await l.start();
    } catch (err) {
      await l.close();
      throw err;
    }
    return l;
  }

  async start() {
    const config = join(this.dir, "lab.toml");
    const { settings = "", sandbox = "", limits = "", subnets = "10.231.0.0/16" } = this.overrides;
    await writeFile(
      config,
      `listen = "${this.listen}"\ndata_dir = "${this.dir}/data"\n${settings}\n` +
        `[sandbox]\nsubnets = "${subnets}"\n${sandbox}\n[limits]\n${limits}\n`,
    );
    const bin = process.env.LABD_BIN ?? join(here, "..", "bin", "labd");
    const env = { ...process.env, LABD_SEED_DIR: process.env.LABD_SEED_DIR ?? "/var/lib/labd/seed", ...this.overrides.env };
    const p = spawn(bin, ["serve", "-config", config], { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#process = p;
    const url = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("labd did not start:\n" + this.log)), startLimit);
      const look = (chunk) => {
        this.#log.push(chunk);
        const m = /serves on .*?(127\.0\.0\.1:\d+)/.exec(this.log);
        if (m) {
          clearTimeout(timer);
          resolve(m[1]);
        }
      };
      p.stdout.on("data", (d) => look(d.toString()));
      p.stderr.on("data", (d) => look(d.toString()));
      p.once("exit", (code) => {
        clearTimeout(timer);
        reject(new Error(`labd ended with ${code}:\n${this.log}`));
      });
    });
    this.listen = url;
    this.url = `http://${url}`;
    await this.#ready();
  }

  async #ready() {
    const wanted = this.overrides.labs ?? "ready";
    const deadline = Date.now() + startLimit;
    let last = "";
    while (Date.now() < deadline) {
      try {
        last = await (await fetch(this.url + "/api/v1/status")).text();
        if (JSON.parse(last).labs === wanted) return;
      } catch (e) {
        last = String(e);
      }
      await new Promise((r) => setTimeout(r, 100));
    }
    throw new Error(`labs are not ${wanted}: ${last}\n${this.log}`);
  }

  get log() {
    return this.#log.join("");
  }

  get pid() {
    return this.#process?.pid;
  }

  /** Stops labd gracefully and waits for it. Learners' stacks keep running. */
  async stop(signal = "SIGTERM") {
    const p = this.#process;
    this.#process = null;
    if (!p || p.exitCode !== null) return;
    const ended = new Promise((r) => p.once("exit", r));
    p.kill(signal);
    await ended;
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  async #containers() {
    const { stdout } = await run("docker", ["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Mounts}}"]);
    return stdout.split("\n").filter((line) => line.includes(this.dir));
  }

  /** Lists what sessions have left behind: containers and disks of this labd. */
  async remains() {
    const containers = await this.#containers();
    const files = await readdir(join(this.dir, "data", "nodes"), { recursive: true }).catch(() => []);
    return [...containers, ...files.filter((name) => name.includes("node"))];
  }

  /** Stops labd and removes what a failed test has left behind. */
  async close() {
    await this.stop();
    for (const line of await this.#containers()) await run("docker", ["rm", "-f", "-v", line.split(" ")[0]]);
    const mounts = (await readFile("/proc/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1]);
    for (const dir of mounts.filter((dir) => dir?.startsWith(this.dir + "/"))) await run("umount", [dir]);
    await rm(this.dir, { recursive: true, force: true });
  }
}

/** Builds a static site into a folder, by default of this repository's course. */
export async function buildSite(dir, ...args) {
  await run(process.env.SITEGEN_BIN ?? join(here, "..", "bin", "sitegen"), ["build", "-out", dir, ...args], { cwd: join(here, "..") });
}

/** Starts Debian's Chromium without background traffic. */
export async function openBrowser(...args) {
  await mkdir(artifacts, { recursive: true });
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...args,
    ],
  });
}
