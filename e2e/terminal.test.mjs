// Situations of a terminal: Run at the wrong moment, copy and paste, killed editors, two tabs, a
// stalled proxy, low viewports, reset. Uses a real engine, gVisor and browser.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { after, before, test } from "node:test";
import { Labd, openBrowser } from "./labd.mjs";
import { endLab, newLearner, patience, runBlock, sees, shot, startLab, stepIs, type, until, violations } from "./page.mjs";

let labd, browser;
before(async () => {
  [labd, browser] = await Promise.all([Labd.create(), openBrowser()]);
});
after(async () => {
  await browser?.close();
  await labd?.close();
});

const soon = { timeout: patience };
const notice = (page, name) => page.locator(`.lab-notice[data-notice="${name}"]`);
const button = (page, name) => page.getByRole("button", { name, exact: true });
const rows = (page) => page.evaluate(() => document.querySelector(".lab-terminal:not([hidden]) .xterm-rows")?.textContent?.replaceAll("\u00a0", " ") ?? "");

/**
 * Types a command that prints a word and waits for the word. The command itself contains the word
 * only in pieces.
 */
async function says(page, word) {
  await type(page, `echo ${word.slice(0, 2)}''${word.slice(2)}`);
  await sees(page, word);
}

/** Waits until the last line of the terminal is an empty prompt of the node's shell. */
const prompt = (page, options) => page.waitForFunction(() => {
  const lines = [...document.querySelectorAll(".lab-terminal:not([hidden]) .xterm-rows > div")].map((row) => row.textContent.replaceAll("\u00a0", " ").trim());
  return lines.filter(Boolean).at(-1) === "root@node1:~#";
}, null, options);

/** Dispatches a paste event, as the browser does for a paste by keyboard or menu. */
const paste = (page, text) => page.evaluate((t) => {
  const data = new DataTransfer();
  data.setData("text/plain", t);
  document.querySelector(".lab-terminal:not([hidden]) .xterm-helper-textarea").dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}, text);

test("Run types a command only at an empty prompt", async (t) => {
  const page = await newLearner(t, browser);
  await startLab(page, labd);

  await t.test("nothing is typed into an editor", async () => {
    await type(page, "vi notes");
    await page.waitForFunction(() => [...document.querySelectorAll(".lab-terminal:not([hidden]) .xterm-rows > div")].filter((r) => r.textContent.trim() === "~").length > 5, null, soon);
    await runBlock(page, "hello", 0);
    await notice(page, "occupied").getByText("A program fills this terminal").waitFor(soon);
    await shot(page, "terminal-editor");
    assert.doesNotMatch(await rows(page), /docker run/);
    await page.keyboard.press("Escape");
    await notice(page, "occupied").waitFor({ state: "detached" });
    await page.keyboard.type(":q!\n");
    await says(page, "left-vi");
  });

  await t.test("with text on the line, Run asks and can clear it", async () => {
    await page.keyboard.type("rm -rf ");
    await sees(page, "rm -rf");
    await runBlock(page, "hello", 1);
    await notice(page, "occupied").getByText("There is text on the line already").waitFor(soon);
    await button(page, "Clear the line and run").click();
    await sees(page, "CONTAINER ID");
    assert.doesNotMatch(await rows(page), /rm -rf docker/);
  });

  await t.test("at a secondary prompt, Run asks", async () => {
    await type(page, "clear; echo 'half");
    await sees(page, "> ");
    await runBlock(page, "hello", 1);
    await notice(page, "occupied").getByText("waits for the rest of a command").waitFor(soon);
    await button(page, "Clear the line and run").click();
    await sees(page, "CONTAINER ID");
  });

  await t.test("while a program runs, Run asks and can use another terminal", async () => {
    await type(page, "clear; cat > spoilt");
    await page.waitForFunction(() => document.querySelector(".lab-terminal:not([hidden]) .xterm-rows").textContent.replaceAll("\u00a0", " ").trim() === "", null, soon);
    await runBlock(page, "hello", 1);
    await notice(page, "occupied").getByText("A program is still running").waitFor(soon);
    await button(page, "Run in a new terminal").click();
    await page.getByRole("tab", { name: "node1 terminal 2", selected: true }).waitFor(soon);
    await sees(page, "CONTAINER ID");
    await page.getByRole("tab", { name: "node1 terminal 1" }).click();
    await page.keyboard.press("Control+d");
    await type(page, "clear; wc -c spoilt");
    await sees(page, "0 spoilt");
  });

  await t.test("inside a container, Run asks only for docker commands", async () => {
    await type(page, "clear");
    await runBlock(page, "inside", 0);
    await page.waitForFunction(() => /root@[0-9a-f]{12}/.test(document.querySelector(".lab-terminal:not([hidden]) .xterm-rows")?.textContent ?? ""), null, soon);
    await runBlock(page, "inside", 1);
    await sees(page, "> /root/hello");
    assert.equal(await notice(page, "occupied").count(), 0);
    await runBlock(page, "again", 0);
    await notice(page, "occupied").getByText("This terminal is inside a container").waitFor(soon);
    await shot(page, "terminal-inside");
    await page.keyboard.press("Escape");
    await runBlock(page, "inside", 2);
    // docker reads ahead until the container has ended, and drops what was typed meanwhile.
    await prompt(page, soon);
    await says(page, "outside-again");
  });

  await t.test("each output of a block appears below its command", async () => {
    await type(page, "clear");
    await runBlock(page, "background", 0);
    await runBlock(page, "background", 1);
    await sees(page, "Ready to accept connections");
    await page.waitForFunction(() => {
      const text = document.querySelector(".lab-terminal:not([hidden]) .xterm-rows")?.textContent ?? "";
      return /# docker logs cache/.test(text.replaceAll("\u00a0", " "));
    }, null, soon);
    await type(page, "clear; echo a");
    await sees(page, "a");
  });

  await t.test("after a double click, Enter does not run the block again", async () => {
    await type(page, "clear; docker ps -aq | wc -l > before");
    await page.locator('[data-step="hello"] button.lab-run').nth(0).dblclick();
    await sees(page, "Hello from Docker!");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.keyboard.type("clear; echo more-$(( $(docker ps -aq | wc -l) - $(cat before) ))\n");
    await sees(page, "more-1");
  });
  await endLab(page);
});

test("copy, paste and the keys for them", async (t) => {
  const page = await newLearner(t, browser);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await startLab(page, labd);
  assert.match(await page.locator(".lab-bar-keys").textContent(), /Ctrl\+V/);

  await t.test("Ctrl+V pastes", async () => {
    await page.evaluate(() => navigator.clipboard.writeText("echo pasted-$((40+2))"));
    await page.locator(".lab-terminal:not([hidden]) .xterm-screen").click();
    await page.keyboard.press("Control+v");
    await sees(page, "echo pasted-$((40+2))");
    await page.keyboard.press("Enter");
    await sees(page, "pasted-42");
  });

  await t.test("Ctrl+C copies a selection, and interrupts without one", async () => {
    await type(page, "clear; echo word''word");
    await sees(page, "wordword");
    const box = await page.locator(".lab-terminal:not([hidden]) .xterm-rows > div", { hasText: /^wordword/ }).boundingBox();
    await page.mouse.dblclick(box.x + 20, box.y + box.height / 2);
    await page.keyboard.press("Control+c");
    await until(page, async () => (await navigator.clipboard.readText()) === "wordword");
    assert.doesNotMatch(await rows(page), /\^C/);
    await page.keyboard.type("sleep 1000\n");
    await sees(page, "sleep 1000");
    // Until sleep is the terminal's foreground process, the signal goes to the shell, which ignores it.
    let back = false;
    for (let i = 0; i < 10 && !back; i++) {
      await page.keyboard.press("Control+c");
      back = await prompt(page, { timeout: 1000 }).then(() => true, () => false);
    }
    await says(page, "interrupted");
  });

  await t.test("pasted text does not run, not even with an end-of-paste sequence", async () => {
    await type(page, "clear");
    await paste(page, "echo one\x1b[201~\necho not-$((40+2))\n");
    await sees(page, "echo not-");
    await page.keyboard.type("END");
    await sees(page, "END");
    assert.doesNotMatch(await rows(page), /not-42/);
    await page.keyboard.press("Control+c");
  });
  await endLab(page);
});

test("the terminal recovers from what programs leave behind", async (t) => {
  const page = await newLearner(t, browser);
  const errors = [];
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  await startLab(page, labd);

  await t.test("replies to terminal queries are not answered", async () => {
    for (const query of ["\\e[c", "\\e[>c", "\\e[5n", "\\e[6n", "\\e[?6n", "\\e]10;?\\a", "\\eP$qm\\e\\\\", "\\e[?25$p", "\\e[?u", "\\e[>q"]) {
      await type(page, `clear; stty -echo -icanon; printf '${query}'; sleep 0.3; timeout 1 cat > answers; timeout 1 cat > more; stty sane; echo more-$(wc -c < more)-bytes`);
      // The reply to the query is printed raw, as by a terminal without ECHOCTL. The terminal must
      // not answer it.
      await sees(page, "more-0-bytes");
      await type(page, "clear; stty -echo -icanon; cat answers; timeout 1 cat > more; stty sane; echo back-$(wc -c < more)-bytes");
      await sees(page, "back-0-bytes");
    }
  });

  await t.test("the prompt leaves the alternate screen and mouse modes of a killed editor", async () => {
    // The modes that vi and htop switch on.
    await type(page, "clear; echo ke''pt; bash -c 'printf \"\\e[?1049h\\e[?1003h\\e[?1006h\\e[?25l\\e[?1h\"; kill -9 $$'");
    await says(page, "alive");
    await page.reload();
    await sees(page, "alive");
    await sees(page, "kept");
    await page.locator(".lab-terminal:not([hidden]) .xterm-screen").click();
    await page.mouse.move(900, 300);
    await page.mouse.move(1000, 400);
    await page.keyboard.type("echo clean\n");
    await page.waitForFunction(() => /# echo clean/.test(document.querySelector(".lab-terminal:not([hidden]) .xterm-rows")?.textContent?.replaceAll("\u00a0", " ") ?? ""), null, soon);
  });

  await t.test("Reset terminal works while a program runs", async () => {
    await type(page, "clear; printf '\\e[?1049h\\e[?1003h\\e(0\\e[?25l'; cat");
    await page.waitForFunction(() => document.querySelector(".lab-terminal:not([hidden]) .xterm.enable-mouse-events"), null, soon);
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.locator("#lab-menu").getByRole("button", { name: "Reset terminal", exact: true }).click();
    await page.waitForFunction(() => !document.querySelector(".lab-terminal:not([hidden]) .xterm.enable-mouse-events"), null, soon);
    await page.keyboard.type("qqq\n");
    await sees(page, "qqq");
    await page.keyboard.press("Control+d");
    await says(page, "restored");
  });

  await t.test("binary output causes no errors in the browser's console", async () => {
    await type(page, "clear; head -c 3000000 /dev/urandom; printf '\\ec'; echo ra''ndom");
    await sees(page, "random");
    assert.deepEqual(errors, []);
  });
  await endLab(page);
});

test("the tab that is typed in sets the terminal's size", async (t) => {
  const page = await newLearner(t, browser);
  await startLab(page, labd);
  const second = await page.context().newPage();
  await second.setViewportSize({ width: 1000, height: 600 });
  await second.goto(page.url());
  await sees(second, "# ");
  let asked = 0;
  const size = async (p) => {
    await p.bringToFront();
    await p.locator(".lab-terminal:not([hidden]) .xterm-screen").click();
    await p.waitForTimeout(2_100); // the page sends its size again with input after a pause of 2 s
    await p.keyboard.type(`clear; echo size-${++asked}-$(stty size | tr ' ' x)-\n`);
    const answer = await p.waitForFunction(
      (n) => new RegExp(`size-${n}-(\\d+x\\d+)-`).exec(document.querySelector(".lab-terminal:not([hidden]) .xterm-rows").textContent)?.[1],
      asked,
      soon,
    );
    return answer.jsonValue();
  };
  const small = await size(second);
  const large = await size(page);
  assert.notEqual(small, large);
  assert.equal(await size(second), small);
  assert.equal(await size(page), large);
  await second.close();
  await endLab(page);
});

/** A TCP proxy in front of labd. While it is stalled it accepts data but forwards nothing. */
class Proxy {
  static async open(port) {
    const p = new Proxy();
    p.stalled = false;
    p.pipes = new Set();
    p.server = createServer((from) => {
      const to = connect(port, "127.0.0.1");
      for (const [one, other] of [[from, to], [to, from]]) {
        const held = [];
        const pipe = { flush: () => held.splice(0).forEach((d) => other.write(d)) };
        p.pipes.add(pipe);
        one.on("data", (d) => (p.stalled ? held.push(d) : other.write(d)));
        one.on("error", () => {});
        one.on("close", () => {
          p.pipes.delete(pipe);
          other.destroy();
        });
      }
    });
    await new Promise((listening) => p.server.listen(0, "127.0.0.1", listening));
    p.url = `http://127.0.0.1:${p.server.address().port}`;
    return p;
  }

  resume() {
    this.stalled = false;
    for (const pipe of this.pipes) pipe.flush();
  }

  close() {
    this.server.close();
  }
}

test("a stalled proxy is noticed, and an undelivered Run is offered again instead of being run later", async (t) => {
  const proxy = await Proxy.open(Number(new URL(labd.url).port));
  t.after(() => proxy.close());
  const page = await newLearner(t, browser);
  await startLab(page, { url: proxy.url });
  await runBlock(page, "hello", 1);
  await sees(page, "CONTAINER ID"); // the engine is ready
  proxy.stalled = true;
  const since = Date.now();
  await runBlock(page, "hello", 0);
  await page.locator(".lab-status").getByText("Reconnecting…").waitFor({ timeout: 15_000 });
  t.diagnostic(`Reconnecting… was shown after ${Date.now() - since} ms`);
  await notice(page, "undelivered").getByText("docker run hello-world").waitFor(soon);
  await shot(page, "terminal-undelivered");
  await page.waitForTimeout(2_000);
  proxy.resume();
  await page.locator(".lab-status").waitFor({ state: "hidden", ...soon });
  await says(page, "after-it");
  assert.doesNotMatch(await rows(page), /Hello from Docker/);
  await button(page, "Run it now").click();
  await sees(page, "Hello from Docker!");
  await notice(page, "undelivered").waitFor({ state: "detached" });
  await endLab(page);
});

for (const [name, viewport, options] of [
  ["1366x768 at 200 %", { width: 683, height: 384 }, { deviceScaleFactor: 2 }],
  ["1280x720 at 200 %", { width: 640, height: 360 }, { deviceScaleFactor: 2 }],
  ["a phone on its side", { width: 844, height: 390 }, { hasTouch: true, isMobile: true }],
  ["a phone", { width: 390, height: 844 }, { hasTouch: true, isMobile: true, colorScheme: "dark" }],
]) {
  test(`the terminal has at least eight rows, and nothing covers its prompt: ${name}`, async (t) => {
    const page = await newLearner(t, browser, { viewport, ...options });
    await startLab(page, labd);
    const seen = () => page.evaluate(() => {
      const screen = document.querySelector(".lab-terminal:not([hidden]) .xterm-screen").getBoundingClientRect();
      const rows = [...document.querySelectorAll(".lab-terminal:not([hidden]) .xterm-rows > div")];
      const prompt = rows.findLast((r) => r.textContent.includes("#")).getBoundingClientRect();
      const top = document.elementFromPoint(prompt.left + 20, prompt.top + prompt.height / 2);
      return { rows: rows.length, inside: prompt.bottom <= screen.bottom + 1 && prompt.bottom <= innerHeight, free: top?.closest(".lab-terminal") !== null };
    });
    await shot(page, `terminal-${name.replace(/\W+/g, "-")}`);
    const first = await seen();
    assert.ok(first.rows >= 8, `${first.rows} rows`);
    assert.ok(first.inside && first.free, JSON.stringify(first));
    await page.locator(".lab-terminal:not([hidden]) .xterm-helper-textarea").focus();
    await page.keyboard.type("seq 30; docker create --name half hello-world\n");
    await page.locator(".lab-strip").waitFor(soon);
    await until(page, () => document.querySelector(".lab-terminal:not([hidden]) .xterm-rows").textContent.includes("#"));
    await shot(page, `terminal-strip-${name.replace(/\W+/g, "-")}`);
    const later = await seen();
    assert.ok(later.rows >= 5 && later.inside && later.free, JSON.stringify(later));
    await endLab(page);
  });
}

test("the terminal can be widened, and Check now does not cover it", async (t) => {
  const page = await newLearner(t, browser);
  await startLab(page, labd);
  const cols = () => page.evaluate(() => Math.round(document.querySelector(".lab-terminal:not([hidden]) .xterm-screen").getBoundingClientRect().width));
  const before = await cols();
  await button(page, "Widen the terminal over the text").click();
  await page.waitForFunction((w) => document.querySelector(".lab-terminal:not([hidden]) .xterm-screen").getBoundingClientRect().width > w * 1.8, before, soon);
  await shot(page, "terminal-wide");
  await button(page, "Show the text again").click();
  await page.waitForFunction((w) => Math.abs(document.querySelector(".lab-terminal:not([hidden]) .xterm-screen").getBoundingClientRect().width - w) < 20, before, soon);

  await page.locator(".lab-foot").getByRole("button", { name: "Check now" }).click();
  await page.locator(".lab-strip").getByText("docker run hello-world").waitFor(soon);
  await shot(page, "terminal-check");
  assert.equal(await page.locator(".lab-drawer").isVisible(), false);
  await endLab(page);
});

test("removed images can be restored and the machine can be reset", async (t) => {
  const page = await newLearner(t, browser);
  await startLab(page, labd);
  const choose = async (name) => {
    await button(page, "More").click();
    await page.locator("#lab-menu").getByRole("button", { name, exact: true }).click();
  };

  await t.test("after Reset machine the finished steps are done again", async () => {
    await runBlock(page, "hello", 0);
    await stepIs(page, "hello", "done");
    await type(page, "clear; touch old-machine");
    await choose("Reset machine");
    await shot(page, "terminal-reset");
    await button(page, "Reset and continue here").click();
    await page.locator(".lab-progress").waitFor(soon);
    await page.locator(".lab-cover").waitFor({ state: "hidden", timeout: 60_000 });
    await stepIs(page, "background", "open");
    await type(page, "clear; ls old-machine; echo containers-$(docker ps -aq | wc -l)");
    await sees(page, "containers-1");
    await sees(page, "No such file or directory");
  });

  await t.test("the check names a missing image", async () => {
    await type(page, "docker rmi -f redis:8 && clear");
    await runBlock(page, "background", 0);
    await page.locator(".lab-foot").getByRole("button", { name: "Check now" }).click();
    await page.locator(".lab-strip").getByText("the image redis:8 is missing").waitFor(soon);
    await shot(page, "terminal-image-missing");
  });

  await t.test("Restore images brings it back", async () => {
    await choose("Restore images");
    await notice(page, "images").getByText("on your machine again").waitFor({ timeout: 60_000 });
    await says(page, "prompt-is-back");
    await runBlock(page, "background", 0);
    await stepIs(page, "background", "done");
  });
  await endLab(page);
});

test("the pane has no accessibility violations in use, and sudo runs commands", async (t) => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await newLearner(t, browser, { colorScheme, reducedMotion: "reduce" });
    await startLab(page, labd);
    await type(page, "clear; sudo -u root echo su''do-works");
    await sees(page, "sudo-works");
    const wrong = await violations(page, "terminal");
    await page.keyboard.type("half a line");
    await sees(page, "half a line");
    await runBlock(page, "hello", 0);
    await notice(page, "occupied").waitFor(soon);
    await page.locator(".lab-foot").getByRole("button", { name: "Check now" }).click();
    await page.locator(".lab-strip").waitFor(soon);
    wrong.push(...(await violations(page, "notice and strip")));
    await button(page, "More").click();
    await shot(page, `terminal-menu-${colorScheme}`);
    wrong.push(...(await violations(page, "menu")));
    assert.deepEqual(wrong, []);
    await page.locator("#lab-menu").press("Escape");
    await endLab(page);
  }
});
