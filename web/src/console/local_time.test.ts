import assert from "node:assert/strict";
import test from "node:test";
import { localTime, timeOf } from "./local_time";

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
