import assert from "node:assert/strict";
import test from "node:test";
import { visible, visibleText } from "./text";

test("plain text, tabs and line ends stay", () => {
  assert.deepEqual(visible("a\tb\r\nc\n日本 🧑‍🚀"), [{ text: "a\tb\nc\n日本 🧑‍🚀" }]);
  assert.deepEqual(visible(""), []);
});

test("what a terminal or a browser would obey becomes a symbol with a name", () => {
  assert.deepEqual(visible("a\u001b[31mb\u202e"), [
    { text: "a" },
    { text: "\u241b", name: "U+001B escape", short: "ESC" },
    { text: "[31mb" },
    { text: "[U+202E]", name: "U+202E right-to-left override", short: "U+202E" },
  ]);
  assert.equal(visibleText("\u0000\u007f\u0085\u{e0041}"), "\u2400\u2421[U+0085][U+E0041]");
});

test("a text of special characters stays small", () => {
  const parts = visible("\u001b".repeat(1_000_000));
  assert.equal(parts.length, 2_001);
  assert.equal(parts.map((part) => part.text).join(""), "\u241b".repeat(1_000_000));
});

test("marks stay, unless they would reach over other lines", () => {
  const few = `a${"\u0301".repeat(8)}`;
  assert.deepEqual(visible(few), [{ text: few }]);
  assert.equal(visibleText(`${few}${"\u0301".repeat(1_000)}b`), `${few}[1000 marks]b`);
  assert.equal(visibleText(`${few}\u0302`), `${few}[U+0302]`);
});
