import assert from "node:assert/strict";
import test from "node:test";
import { Chunks } from "./chunks";

test("parts joined are the text, and complete ones stay", () => {
  const text = Array.from({ length: 3_000 }, (_, line) => `line ${line}\n`).join("");
  const chunks = new Chunks();
  let before: string[] = [];
  for (let end = 0; end <= text.length; end += 997) {
    const parts = chunks.of(text.slice(0, end));
    assert.equal(parts.join(""), text.slice(0, end));
    assert.deepEqual(parts.slice(0, Math.max(0, before.length - 1)), before.slice(0, -1));
    before = [...parts];
  }
  assert.ok(before.length >= 3);
  for (const part of before.slice(0, -1)) assert.ok(part.endsWith("\n"));
});

test("another text starts over", () => {
  const chunks = new Chunks();
  chunks.of("a\n".repeat(1_000));
  assert.deepEqual(chunks.of("b"), ["b"]);
  assert.deepEqual(chunks.of(""), []);
});

test("a long line is parted, between characters", () => {
  for (const text of [
    "x".repeat(100_000),
    "😀".repeat(50_000),
    `${"x".repeat(16_383)}\r\n${"y".repeat(20_000)}`,
  ]) {
    const parts = new Chunks().of(text);
    assert.equal(parts.join(""), text);
    assert.ok(parts.length > 1);
    for (const part of parts) {
      encodeURIComponent(part); // throws if a pair of surrogates is parted
      assert.ok(!part.startsWith("\n"));
    }
  }
});

test("a megabyte of line ends", () => {
  const parts = new Chunks().of("\n".repeat(1 << 20));
  assert.ok(parts.length < 1_100);
});
