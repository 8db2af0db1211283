import assert from "node:assert/strict";
import test from "node:test";
import { age, bytes, count, counted, duration } from "./format";

test("long durations have at most two units", () => {
  const wanted: [number, string][] = [
    [Number.NaN, "0 s"],
    [-5, "0 ms"],
    [1_999, "2 s"],
    [99_990, "99.99 s"],
    [185_000, "3 min 5 s"],
    [7_500_000, "2 h 5 min"],
    [86_400_000, "1 d"],
    [90_000_000, "1 d 1 h"],
  ];
  for (const [ms, text] of wanted) assert.equal(duration(ms), text);
});

test("ages are whole seconds", () => {
  assert.equal(age(3_999), "3 s");
  assert.equal(age(-1), "0 s");
  assert.equal(age(60_000), "1 min");
  assert.equal(age(61_500), "1 min 1 s");
});

test("numbers have separators and one digit behind the point", () => {
  assert.equal(count(12_345), "12,345");
  assert.equal(count(1.26), "1.3");
  assert.equal(counted(1, "job"), "1 job");
  assert.equal(counted(0, "job"), "0 jobs");
});

test("numbers with units", () => {
  assert.deepEqual([0, 0.44, 9.96, 420, 999.6, 3250, 125_000, 7_260_000].map(duration), [
    "0 ms",
    "0.4 ms",
    "10 ms",
    "420 ms",
    "1 s",
    "3.25 s",
    "2 min 5 s",
    "2 h 1 min",
  ]);
  assert.deepEqual([0, 1, 1023, 1536, 700 << 20, 1_073_700_000].map(bytes), [
    "0 bytes",
    "1 byte",
    "1023 bytes",
    "1.5 KiB",
    "700 MiB",
    "1 GiB",
  ]);
  assert.equal(counted(1, "row"), "1 row");
  assert.equal(counted(12_345, "row"), "12,345 rows");
});
