import assert from "node:assert/strict";
import { test } from "node:test";
import { en, errorText, translator, zh, type Key } from "../lab/i18n.js";

const keys = Object.keys(en) as Key[];
const holes = (s: string): string[] => (s.match(/\{\w+\}/g) ?? []).sort();

test("every sentence exists in both languages, with the same placeholders", () => {
  assert.deepEqual(Object.keys(zh).sort(), [...keys].sort());
  for (const key of keys) {
    assert.notEqual(en[key].trim(), "", key);
    assert.notEqual(zh[key].trim(), "", key);
    assert.deepEqual(holes(zh[key]), holes(en[key]), key);
  }
});

test("Chinese is Chinese", () => {
  for (const key of keys) assert.match(zh[key], /[\u4e00-\u9fff]/, key);
});

test("every error code of the API has a sentence", () => {
  const codes = ["invalid", "unauthorized", "forbidden", "not_found", "conflict", "gone", "too_large", "too_many", "internal", "full", "labs_off", "node_down", "offline"];
  for (const code of codes) {
    assert.notEqual(errorText("en", code, ""), "", code);
    assert.match(errorText("zh", code, "an English sentence"), /[\u4e00-\u9fff]/, code);
  }
});

test("an unknown code falls back to the server's own sentence", () => {
  assert.equal(errorText("zh", "teapot", "I am a teapot."), "I am a teapot.");
  assert.equal(errorText("en", "full", "All 40 places are taken."), "All 40 places are taken.");
});

test("an unknown language reads English, and placeholders are filled", () => {
  assert.equal(translator("fr")("stepsProgress", { done: 1, total: 6 }), "1 of 6 steps");
  assert.equal(translator("zh")("stepsProgress", { done: 1, total: 6 }), "已完成 1/6 步");
});
