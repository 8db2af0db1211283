import assert from "node:assert/strict";
import test from "node:test";
import { age, bytes, count, duration, localTime, number, timeOf } from "./units";

test("durations have at most two units", () => {
  const wanted: [number, string][] = [
    [Number.NaN, "0 s"],
    [-5, "0 s"],
    [0.2, "1 ms"],
    [999, "999 ms"],
    [1_999, "1.9 s"],
    [59_999, "59 s"],
    [60_000, "1 min"],
    [185_000, "3 min 5 s"],
    [7_500_000, "2 h 5 min"],
    [90_000_000, "1 d 1 h"],
  ];
  for (const [ms, text] of wanted) assert.equal(duration(ms), text);
  assert.equal(age(3_999), "3 s");
  assert.equal(age(-1), "0 s");
  assert.equal(age(61_500), "1 min 1 s");
});

test("numbers, counts and sizes", () => {
  assert.equal(number(12_345), "12,345");
  assert.equal(count(1, "job"), "1 job");
  assert.equal(count(0, "job"), "0 jobs");
  assert.equal(bytes(1_572_864), "1.5 MiB");
});

test("a time of another day has its date", () => {
  const time = new Date(2026, 0, 2, 3, 4, 5);
  assert.equal(localTime(time, new Date(2026, 0, 2, 23)), "03:04:05");
  assert.equal(localTime(time, new Date(2026, 0, 3)), "2026-01-02 03:04:05");
});

test("a time of day is one of this time zone", () => {
  const today = new Date(2026, 0, 2, 12);
  const iso = (hour: number, second: number) =>
    new Date(2026, 0, 2, hour, 30, second).toISOString().replace(".000", "");
  assert.equal(timeOf(" 09:30 ", today), iso(9, 0));
  assert.equal(timeOf("2026-01-02 09:30:15", new Date(2026, 5, 1)), iso(9, 15));
  for (const text of ["", "1h", "2026-01-02T03:04:05Z", "25:61", "9:30"])
    assert.equal(timeOf(text, today), text);
});
