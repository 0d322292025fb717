import assert from "node:assert/strict";
import { test } from "node:test";
import { guesses, tile } from "../search/find.js";
import { around, parts } from "../search/highlight.js";
import { completions, type Cutter, cutter, parse } from "../search/query.js";
import { distance } from "../search/terms.js";
import { en, zh } from "../search/words.js";

/** A dictionary of our own: the browser's one differs from version to version. */
const cut: Cutter = (run) => run.match(/容器|网络|如何|健康|检查|数据|./gu) ?? [];
const said = (text: string, by: Cutter | null = cut): string[] => parse(text, by).words.map((w) => (w.loose ? `(${w.text})` : w.text));

test("a Chinese query is cut into words, and pairs across them only decide the order", () => {
  const q = parse("容器网络", cut);
  assert.deepEqual(q.words.map((w) => [w.text, w.pairs]), [["容器", ["容器"]], ["网络", ["网络"]]]);
  assert.deepEqual(q.borders, ["器网"]);
});

test("what the dictionary doesn't know is left to the index", () => {
  assert.deepEqual(said("拉取镜像的网络"), ["(拉取镜像)", "网络"]);
  assert.deepEqual(said("容器网络", null), ["(容器网络)"]);
  assert.deepEqual(said("卷"), ["(卷)"]);
  assert.deepEqual(said("的"), ["(的)"]);
});

test("scripts are mixed, words that say nothing are left out, unless they are all there is", () => {
  assert.deepEqual(said("docker网络"), ["docker", "网络"]);
  assert.deepEqual(said("如何配置Docker 网络"), ["(配置)", "docker", "网络"]);
  assert.deepEqual(said("how to publish the ports"), ["publish", "port"]);
  assert.deepEqual(said("how to"), ["how", "to"]);
  assert.deepEqual(said("  ,. "), []);
});

test("a hostile address asks for little", () => {
  const q = parse("a b c d e f g h 容器 网络 ".repeat(10_000) + "字".repeat(10_000), cut);
  assert.ok(q.words.length <= 12 && q.borders.length <= 12);
});

test("pairs of an unknown run are chosen by what the index has", () => {
  assert.deepEqual([...tile([40, 0, 90])], [0, 2]); // 拉取镜像
  assert.deepEqual([...tile([20, 3])], [0]); // 挂载卷
  assert.deepEqual([...tile([0, 7, 0])], [1]);
  assert.deepEqual([...tile([0])], []);
  assert.deepEqual([...tile([])], []);
});

test("typing mistakes are understood: letters swapped, missing, too many, or a wrong first one", () => {
  const words = ["docker", "container", "run", "network", "image", "corner", "volum"];
  for (const [typed, meant] of [["dcoker", "docker"], ["docer", "docker"], ["doccker", "docker"], ["socker", "docker"], ["contianer", "container"], ["rnu", "run"], ["iamge", "image"], ["netwrk", "network"]]) {
    assert.equal(guesses(typed ?? "", words, false)[0], meant, typed);
  }
  assert.equal(guesses("cokner", words.filter((w) => w !== "corner"), false)[0], "docker");
  assert.equal(guesses("contian", words, true)[0], "container", "the beginning of a word");
  for (const typed of ["ab", "web2", "xyzzyq", "rug"]) assert.deepEqual(guesses(typed, words, false), [], typed);
});

test("distances count neighbours swapped as one, and give up early", () => {
  assert.deepEqual(distance("ab", "ba", 2), { whole: 1, start: 1 });
  assert.deepEqual(distance("cont", "container", 3), { whole: Infinity, start: 0 });
  assert.deepEqual(distance("abcdef", "uvwxyz", 2), { whole: Infinity, start: Infinity });
});

test("a word that is half typed is completed before its ending is taken off", () => {
  assert.ok(completions("runni").includes("run"));
  assert.ok(completions("publishin").includes("publish"));
});

test("whole words are marked, in both scripts", () => {
  const marks = { stems: new Set(["publish", "docker"]), starts: ["vol"], runs: ["容器", "网络"] };
  const marked = (text: string): string[] => parts(text, marks).filter(([, m]) => m).map(([t]) => t);
  assert.deepEqual(marked("Publishing ports, published by Docker. A volume."), ["Publishing", "published", "Docker", "volume"]);
  assert.deepEqual(marked("容器的网络由Docker管理，容器网络"), ["容器", "网络", "Docker", "容器网络"]);
  assert.equal(parts("𝒜 容器 <b>", marks).map(([t]) => t).join(""), "𝒜 容器 <b>");
});

test("a piece of a long text begins before what was found", () => {
  const marks = { stems: new Set(["port"]), starts: [], runs: [] };
  const text = `${"word ".repeat(100)}ports ${"more ".repeat(100)}`;
  const piece = around(text, marks) ?? "";
  assert.match(piece, /^…word .*ports more .*…$/);
  assert.ok(piece.length < 260);
  assert.equal(around("nothing here", marks), undefined);
  assert.equal(around("ports", marks), "ports");
});

test("the words of the search have the same places in both languages", () => {
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    assert.deepEqual(en[key].match(/\{\w+\}/g), zh[key].match(/\{\w+\}/g), key);
    assert.ok(zh[key].length > 0);
  }
});

test("the browser's dictionary is used where it has one", () => {
  assert.deepEqual(cutter()?.("容器网络"), ["容器", "网络"]);
});
