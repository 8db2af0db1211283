import assert from "node:assert/strict";
import test from "node:test";
import { ExactNumber, exactOf, formatExact, Members, parseExact } from "./exact_json";
import { exactPart, parseResponse } from "./job_source";

test("numbers stay as they were sent", () => {
  const text = "[3.0,-0,-0.0,12345678901234567890123,1e400,0.1,1E5,42,5e-324,1.50]";
  assert.equal(formatExact(parseExact(text), true), text);
  assert.deepEqual(parseExact("3.0"), new ExactNumber("3.0"));
  assert.equal(parseExact("42"), 42);
});

test("members keep their order, and any name", () => {
  const text = '{"b":1,"10":2,"2":3,"__proto__":{"x":1},"constructor":null,"b":4}';
  const value = parseExact(text);
  assert.ok(value instanceof Members);
  assert.deepEqual(value.names, ["b", "10", "2", "__proto__", "constructor", "b"]);
  assert.equal(formatExact(value, true), text);
  assert.equal(value.get("b"), 1);
  assert.equal(value.get("toString"), undefined);
});

test("strings with escapes", () => {
  for (const text of ['"\\\\"', '"a\\"b"', '"\\\\\\""', '"\\u0041\\n"', '"\u202e</script>"', '""']) {
    assert.equal(parseExact(text), JSON.parse(text));
  }
});

test("the JSON of Python and Go, with spaces", () => {
  const text = ' { "a" : [ 1 , true , false , null , { } , [ ] ] }\n';
  assert.equal(formatExact(parseExact(text), true), '{"a":[1,true,false,null,{},[]]}');
  assert.equal(
    formatExact(parseExact('{"a":[1,{}],"b":[]}')),
    '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": []\n}',
  );
});

test("what is not JSON is refused", () => {
  for (const text of [
    "",
    "[1,]",
    "[1",
    '{"a"}',
    "{a:1}",
    "01",
    "+1",
    "1 2",
    '"a',
    '"\\"',
    "nul",
    "NaN",
    "[1 2]",
  ]) {
    assert.throws(() => parseExact(text), SyntaxError, text);
  }
});

test("500 levels, and four megabytes", () => {
  const deep = "[".repeat(500) + "]".repeat(500);
  assert.equal(formatExact(parseExact(deep), true), deep);
  const large = `[${"3.0,".repeat(1_000_000)}1]`;
  const start = performance.now();
  assert.equal((parseExact(large) as unknown[]).length, 1_000_001);
  assert.ok(performance.now() - start < 5_000);
});

test("a job remembers its text", () => {
  const text = '{"job_id":"1","result":{"2":3.0,"1":[{"json":1.0}]}}';
  const job = parseResponse<{ job_id: string; result: unknown }>(text);
  const copy = { ...job };
  assert.equal(formatExact(exactPart(copy, "result") ?? null, true), '{"2":3.0,"1":[{"json":1.0}]}');
  assert.equal(formatExact(exactPart(copy, "result", "1", 0, "json") ?? null, true), "1.0");
  assert.equal(exactPart(copy, "result", 5), undefined);
  const stored = JSON.parse(JSON.stringify(job)) as object;
  assert.equal(formatExact(exactPart(stored, "result", "2") ?? null), "3");
  assert.deepEqual(exactOf({ a: undefined }), new Members());
});

test("values of any depth are read, and written in a bounded size", () => {
  for (const depth of [500, 9_000, 500_000]) {
    const json = `${'[{"a]":'.repeat(depth / 2)}1${"}]".repeat(depth / 2)}`;
    assert.equal(formatExact(parseExact(json), true), json);
    assert.ok(formatExact(parseExact(json)).length < 2 * json.length + 5_000);
    assert.equal(formatExact(parseExact(formatExact(parseExact(json))), true), json);
  }
  assert.throws(() => parseExact("[".repeat(1_000)), SyntaxError);
});
