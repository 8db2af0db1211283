import assert from "node:assert/strict";
import test from "node:test";
import type { Job } from "../shared/api";
import { formatExact, parseExact, type Value } from "../shared/exact_json";
import { safeName } from "./file_content";
import { metLimit, usedBy } from "./limits";
import { preview } from "./preview";
import { isNumeric, type Table, tableOf } from "./table_shape";
import { firstOpen, type Row, rowsOf, toggled } from "./tree_rows";

function table(json: string): Table {
  const found = tableOf(parseExact(json));
  assert.ok(found, json);
  return found;
}

function text(value: Value | undefined): string {
  return value === undefined ? "" : formatExact(value, true);
}

function rowTexts({ rows, columns, ...of }: Table): string[] {
  return Array.from({ length: rows }, (_, row) => {
    const cells = Array.from({ length: columns }, (_, column) => text(of.cell(row, column)));
    return [...of.labels(row).map(text), ...cells].join(" ");
  });
}

test("a DataFrame is a table", () => {
  const frame = table('{"columns":["a","a"],"index":[5,"x"],"data":[[1.0,null],[2,"t"]]}');
  assert.deepEqual(frame.header, [["a", "a"]]);
  assert.deepEqual(rowTexts(frame), ["5 1.0 null", '"x" 2 "t"']);
  assert.equal(isNumeric(frame, 0), true);
  assert.equal(isNumeric(frame, 1), false);
});

test("an index and columns of several levels", () => {
  const frame = table('{"columns":[["x","min"],["x","max"]],"index":[["a",1],["b",2]],"data":[[1,2],[3,4]]}');
  assert.deepEqual(frame.header, [
    ["x", "x"],
    ["min", "max"],
  ]);
  assert.equal(frame.indexColumns, 2);
  assert.deepEqual(rowTexts(frame), ['"a" 1 1 2', '"b" 2 3 4']);
});

test("an empty DataFrame, and a Series", () => {
  assert.equal(table('{"columns":["a"],"index":[],"data":[]}').rows, 0);
  assert.deepEqual(rowTexts(table('{"name":null,"index":["n"],"data":[381.25]}')), ['"n" 381.25']);
  assert.deepEqual(table('{"name":"s","index":["n"],"data":[1]}').header, [["s"]]);
});

test("records with mostly the same names are a table", () => {
  const records = table('[{"a":1,"b":2},{"b":3,"a":4},{"a":5}]');
  assert.deepEqual(rowTexts(records), ["1 2", "4 3", "5 "]);
  assert.equal(records.indexColumns, 0);
});

test("what is not a table", () => {
  for (const json of [
    "[]",
    "[1]",
    "[{}]",
    '[{"a":1},2]',
    '[{"a":1},{"b":1},{"c":1}]',
    '[{"a":1,"a":2}]',
    '{"columns":["a"],"index":[1],"data":[[1,2]]}',
    '{"columns":["a"],"index":[1,2],"data":[[1]]}',
    '{"columns":1,"index":[1],"data":[1]}',
    '{"name":"x","index":[1],"data":[1],"more":1}',
    '{"name":"x","index":"a","data":"b"}',
    "null",
    '"text"',
  ]) {
    assert.equal(tableOf(parseExact(json)), undefined, json);
  }
});

test("the rows of a tree", () => {
  const value = parseExact(`{"a":[1,{}],"many":${JSON.stringify(Array(250).fill(0))}}`);
  let expansion = {
    open: firstOpen(value) as ReadonlySet<string>,
    shown: new Map<string, number>() as ReadonlyMap<string, number>,
  };
  const ids = () => rowsOf(value, expansion).map((row) => row.id);
  assert.deepEqual(ids(), ["0", "0.0", "0.0.0", "0.0.1", "0.1"]);
  const row = (id: string) => rowsOf(value, expansion).find((each) => each.id === id) as Row;
  assert.equal(row("0.0.1").open, undefined); // an empty object has nothing to open
  expansion = toggled(expansion, row("0.1"));
  assert.equal(row("0.1:more").rest, 150);
  expansion = toggled(expansion, row("0.1:more"));
  assert.equal(row("0.1:more").rest, 50);
  expansion = toggled(expansion, row("0.1:more"));
  assert.equal(ids().at(-1), "0.1.249");
  expansion = toggled(expansion, row("0"));
  assert.deepEqual(ids(), ["0"]);
});

test("a deep or wide value opens a few rows", () => {
  for (const json of [`${"[".repeat(500)}${"]".repeat(500)}`, `[${"[0],".repeat(5_000)}0]`]) {
    const value = parseExact(json);
    assert.ok(rowsOf(value, { open: firstOpen(value), shown: new Map() }).length <= 102);
  }
});

test("a preview is short, however large the value is", () => {
  assert.equal(preview(parseExact('{"a":[1,2.0],"b":"x"}'), 60), '{"a": [1, 2.0], "b": "x"}');
  const large = Array(1_000_000).fill("x".repeat(10)) as Value;
  assert.equal(preview(large, 20), '["xxxxxxxxxx", "xxx…');
  assert.ok(!/[\ud800-\udbff]…/.test(preview("😀".repeat(100), 20)));
});

test("safe names", () => {
  assert.equal(safeName("data/points.csv"), "points.csv");
  assert.equal(safeName("../..\\..hidden."), "hidden");
  assert.equal(safeName('a\u202egnp.exe<b>:"|?*%\n'), "a_gnp.exe_b________");
  assert.equal(safeName("/"), "file");
  const long = safeName(`${"x".repeat(500)}.tar.gz`);
  assert.ok(long.length < 150 && long.endsWith(".gz"));
});

test("how far a job was", () => {
  const job = {
    job_id: "1",
    status: "failed",
    created_at: "",
    started_at: "",
    finished_at: "",
    usage: { queued_ms: 1, prepare_ms: 0, run_ms: 500, cpu_ms: null, memory_peak_bytes: 700 << 20 },
    limit: { name: "memory", value: 700 << 20, unit: "bytes" },
  } satisfies Job;
  assert.deepEqual(metLimit(job), { name: "memory", text: "700 MiB", limit: "700 MiB", share: 1 });
  assert.deepEqual(usedBy(job)[0], { name: "wall time", text: "500 ms", limit: undefined, share: undefined });
  const files = { ...job, limit: { name: "output_files", value: 64, unit: "count" } };
  assert.deepEqual(metLimit(files), { name: "number of files", text: "", limit: "64", share: undefined });
});
