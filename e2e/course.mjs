// Serves temporary courses with `sitegen serve`, as an author does.

import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const bin = process.env.SITEGEN_BIN ?? join(here, "..", "bin", "sitegen");

/** A folder with content, and a `sitegen serve` of it. */
export class Course {
  #server = null;
  #port = 0;
  #kept = false;
  #args = [];

  /**
   * Creates a course from files (paths below content/) and serves it. assets: own scripts and
   * styles. args: further flags.
   */
  static async open(files, { assets = false, args = [] } = {}) {
    const c = new Course();
    c.dir = await mkdtemp(join(tmpdir(), "site-e2e-"));
    if (assets) {
      await cp(join(here, "..", "site", "assets"), join(c.dir, "assets"), { recursive: true });
      c.#args = ["-assets", "assets"];
    }
    c.#args.push(...args);
    for (const [name, text] of Object.entries(files)) await c.write(name, text);
    await c.start();
    return c;
  }

  #path(name) {
    return join(this.dir, "content", name);
  }

  async write(name, text) {
    await mkdir(dirname(this.#path(name)), { recursive: true });
    await writeFile(this.#path(name), text);
  }

  move(from, to) {
    return rename(this.#path(from), this.#path(to));
  }

  remove(name) {
    return rm(this.#path(name));
  }

  /** Serves the course of this repository. */
  static async own() {
    const c = new Course();
    c.dir = join(here, "..");
    c.#kept = true;
    await c.start();
    return c;
  }

  /** Starts `sitegen serve`, again on the same address after a stop. */
  async start() {
    this.#server = spawn(bin, ["serve", "-addr", `127.0.0.1:${this.#port}`, ...this.#args], { cwd: this.dir, stdio: ["ignore", "pipe", "inherit"] });
    this.url = await new Promise((resolve, reject) => {
      let out = "";
      this.#server.stdout.on("data", (d) => {
        out += d;
        const m = /serving (http:\/\/\S+?)\/ /.exec(out);
        if (m) resolve(m[1]);
      });
      this.#server.once("exit", (code) => reject(new Error(`sitegen ended with ${code}: ${out}`)));
    });
    this.#port = new URL(this.url).port;
  }

  async stop() {
    if (!this.#server || this.#server.exitCode !== null) return;
    const gone = new Promise((resolve) => this.#server.once("exit", resolve));
    this.#server.kill("SIGTERM");
    await gone;
  }

  async close() {
    await this.stop();
    if (!this.#kept) await rm(this.dir, { recursive: true, force: true });
  }
}
