import assert from "node:assert/strict";
import { test } from "node:test";
import { bounded, decodeList, type Entry, encodeList, titleOf, withEntry } from "./history_list";
import { defaultOptions } from "./options";

function entry(script: string, change: Partial<Entry> = {}): Entry {
  return { at: 1, script, options: defaultOptions(), outcome: "succeeded", ms: 5, files: [], ...change };
}

test("the newest is first, and twenty stay", () => {
  let list: Entry[] = [];
  for (let i = 0; i < 30; i++) list = withEntry(list, entry(`script ${i}`));
  assert.equal(list.length, 20);
  assert.equal(list[0]?.script, "script 29");
});

test("the same run again is one entry", () => {
  const list = withEntry(withEntry([], entry("a")), entry("a", { at: 2 }));
  assert.deepEqual(
    list.map((each) => each.at),
    [2],
  );
  assert.equal(withEntry(list, entry("a", { outcome: "timeout" })).length, 2);
});

test("values of variables are not kept", () => {
  const list = withEntry([], entry("a", { options: { ...defaultOptions(), env: "A=secret" } }));
  assert.equal(JSON.stringify(encodeList(list)).includes("secret"), false);
});

test("the list has a bound in characters", () => {
  const list = [entry("a"), entry("b".repeat(500)), entry("c")];
  assert.deepEqual(
    bounded(list, 400).map((each) => each.script),
    ["a"],
  );
});

test("storage may have anything", () => {
  const list = [entry("a", { files: ["x.csv"] })];
  assert.deepEqual(decodeList(JSON.parse(JSON.stringify(encodeList(list)))), list);
  assert.deepEqual(decodeList([null, 1, {}, { at: 1, script: "x", outcome: 1, options: {} }]), []);
  assert.deepEqual(decodeList("x"), []);
  // 1e300 is no time: Date.toISOString would throw.
  assert.deepEqual(decodeList([{ at: 1e300, script: "x", outcome: "succeeded", options: {} }]), []);
});

test("titles", () => {
  assert.equal(titleOf('"""What it does."""\n'), "What it does.");
  assert.equal(titleOf("import os\nfrom x import y\n\nprint(1)\n"), "print(1)");
  assert.equal(titleOf("import os\n\ndef main():\n    return 6 * 7\n"), "return 6 * 7");
  assert.equal(titleOf(""), "empty script");
});
