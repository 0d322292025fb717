import assert from "node:assert/strict";
import { test } from "node:test";
import { Block, type Shell } from "../lab/block.js";
import { Marks, frontOf, mustAsk } from "../lab/marks.js";

/** FakeShell is a shell that asks for input when the test says so. */
class FakeShell implements Shell {
  marked = true;
  bracketedPaste = true;
  status = 0;
  front = "free";
  readonly typed: string[] = [];
  readonly ids: string[] = [];
  private waiting: ((place: "prompt" | "more") => void)[] = [];

  asked(): Promise<"prompt" | "more"> {
    return new Promise((done) => this.waiting.push(done));
  }

  async asks(place: "prompt" | "more"): Promise<void> {
    for (const done of this.waiting.splice(0)) done(place);
    await new Promise((go) => setImmediate(go));
  }

  async run(text: string): Promise<Block> {
    const block = new Block("b", text, this, async (id, line) => {
      this.ids.push(id);
      this.typed.push(line);
      return true;
    });
    const asked = this.asked();
    await block.line();
    void block.others(asked);
    return block;
  }
}

test("each command of a block is typed when the one before has ended", async () => {
  const shell = new FakeShell();
  await shell.run("cd ~/visits\r\ncat compose.yml\n\nls\n");
  assert.deepEqual(shell.typed, ["cd ~/visits\n"]);
  await shell.asks("prompt");
  assert.deepEqual(shell.typed, ["cd ~/visits\n", "cat compose.yml\n"]);
  await shell.asks("prompt");
  assert.deepEqual(shell.typed, ["cd ~/visits\n", "cat compose.yml\n", "ls\n"]);
  assert.equal(new Set(shell.ids).size, 3, "each needs an id of its own");
});

test("the lines of one command are typed as the shell asks for them, blank ones too", async () => {
  const shell = new FakeShell();
  const block = await shell.run("cat > f <<E\n\n\ttab\nE");
  await shell.asks("more");
  await shell.asks("more");
  await shell.asks("more");
  assert.deepEqual(shell.typed, ["cat > f <<E\n", "\n", "\x1b[200~\ttab\x1b[201~\n", "E\n"]);
  assert.equal(block.rest, "");
});

test("the rest of a block is not typed after an interrupt, a stop, or with something on the line", async () => {
  for (const change of [(s: FakeShell) => (s.status = 130), (s: FakeShell) => (s.front = "typed"), (_: FakeShell, b: Block) => b.stop()]) {
    const shell = new FakeShell();
    const block = await shell.run("one\ntwo");
    change(shell, block);
    await shell.asks("prompt");
    assert.deepEqual(shell.typed, ["one\n"]);
  }
});

test("where the shell does not mark its prompts, a block is one paste", async () => {
  const shell = new FakeShell();
  shell.marked = false;
  await shell.run("one\ntwo\n");
  assert.deepEqual(shell.typed, ["\x1b[200~one\ntwo\x1b[201~\n"]);
  assert.deepEqual(shell.ids, ["b"]);
});

test("marks tell where a shell is", () => {
  const marks = new Marks();
  const places = ["A", "B", "C", "D;3", "A", "B", "P;k=s", "C"].map((data) => {
    marks.hear(data);
    return marks.place;
  });
  assert.deepEqual(places, ["running", "prompt", "running", "running", "running", "prompt", "more", "running"]);
  assert.equal(marks.status, 3);
  assert.equal(marks.hear("L;nonsense"), false);
});

test("a learner is asked unless an empty prompt, or a shell that is meant, would read the command", () => {
  const ask = (front: ReturnType<typeof frontOf>, text = "docker ps"): boolean => mustAsk(front, text);
  assert.equal(ask(frontOf("prompt", false, true, "root@node1:~# ")), false);
  assert.equal(ask(frontOf("unknown", false, false, "")), false, "nothing is known, so nothing is in the way");
  assert.equal(ask(frontOf("prompt", false, false, "root@node1:~# ls")), true);
  assert.equal(ask(frontOf("more", false, true, "> ")), true);
  assert.equal(ask(frontOf("unknown", true, true, "")), true, "vi");
  assert.equal(ask(frontOf("running", false, true, ">>> ")), true, "python");
  const inside = frontOf("running", false, true, "root@0123456789ab:/# ");
  assert.equal(ask(inside, "echo x > /root/hello"), false, "a lesson goes on inside a container");
  assert.equal(ask(inside, "cd /tmp\ndocker start explorer"), true, "a container has no docker");
});
