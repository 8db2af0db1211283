import assert from "node:assert/strict";
import { test } from "node:test";
import { compact, defaultOptions, parseOptions, readOptions, summary, withoutValues } from "./options";

test("defaults send nothing", () => {
  assert.deepEqual(readOptions(defaultOptions()), { fields: {}, problems: [] });
  assert.deepEqual(summary(defaultOptions()), []);
});

test("options become fields", () => {
  const options = {
    ...defaultOptions(),
    environment: "data-science",
    args: ' {"n": 12345678901234567890} ',
    stdin: "x\n",
    env: "A=1\n\nB=x=y ",
    labels: "example.com/run=nightly",
  };
  options.limits = { ...options.limits, wall_seconds: "0.5", processes: "4" };
  const { fields, problems } = readOptions(options);
  assert.deepEqual(problems, []);
  assert.equal(fields.args, '{"n": 12345678901234567890}');
  assert.deepEqual({ ...fields.env }, { A: "1", B: "x=y " });
  assert.deepEqual({ ...fields.labels }, { "example.com/run": "nightly" });
  assert.deepEqual(fields.limits, { wall_seconds: 0.5, processes: 4 });
  assert.equal(fields.environment, "data-science");
  assert.equal(fields.entry, undefined);
});

test("arguments of a script are lines or a list", () => {
  const args = (argv: string) => readOptions({ ...defaultOptions(), entry: "script", argv });
  assert.equal(args("a b\nc\n").fields.args, '["a b","c"]');
  assert.equal(args('["", "a\\nb"]').fields.args, '["","a\\nb"]');
  assert.equal(args("[1]").problems[0]?.field, "argv");
  assert.equal(args("[").problems[0]?.field, "argv");
  assert.equal(readOptions({ ...defaultOptions(), entry: "cell", args: "[", argv: "[" }).problems.length, 0);
});

test("wrong options are named", () => {
  const problem = (change: object) => readOptions({ ...defaultOptions(), ...change }).problems[0];
  for (const args of ["{", "[]", "1", "null"]) assert.equal(problem({ args })?.field, "args", args);
  for (const env of ["A", "1A=x", "A=1\nA=2", "=x"]) assert.equal(problem({ env })?.field, "env", env);
  const { limits } = defaultOptions();
  for (const memory_mb of ["31", "x", "-1", "Infinity"]) {
    assert.equal(problem({ limits: { ...limits, memory_mb } })?.field, "memory_mb", memory_mb);
  }
  assert.equal(problem({ limits: { ...limits, processes: "1.5" } })?.field, "processes");
});

test("options survive storage", () => {
  const options = { ...defaultOptions(), entry: "cell" as const, env: "A=secret" };
  options.limits = { ...options.limits, cpu_seconds: "2" };
  assert.deepEqual(parseOptions(JSON.parse(JSON.stringify(compact(options)))), options);
  assert.equal(withoutValues(options).env, "A=\n");
  for (const data of [
    null,
    1,
    "x",
    { entry: "toString" },
    { entry: ["cell"] },
    { args: 1 },
    { limits: 1 },
    { limits: { wall_seconds: 1 } },
  ]) {
    assert.equal(parseOptions(data), undefined, JSON.stringify(data));
  }
});
