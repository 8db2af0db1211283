import assert from "node:assert/strict";
import test from "node:test";
import { axisEnd, percent, sorted, split, total } from "./outcomes";
import { sumByTenant } from "./tenant_usage";
import { mixedEnvironments, versionsOf } from "./workers";

test("outcomes are counted and sorted", () => {
  const outcomes = { timeout: 2, ok: 5, exception: 2 };
  assert.equal(total(outcomes), 9);
  assert.deepEqual(split(outcomes), { ok: 5, other: 4 });
  assert.deepEqual(split({}), { ok: 0, other: 0 });
  assert.deepEqual(
    sorted(outcomes).map(({ outcome }) => outcome),
    ["ok", "exception", "timeout"],
  );
});

test("a part is never rounded to nothing or to all", () => {
  assert.equal(percent(0, 0), "0%");
  assert.equal(percent(1, 1_000), "<1%");
  assert.equal(percent(999, 1_000), ">99%");
  assert.equal(percent(1, 3), "33%");
});

test("an axis ends at a round number", () => {
  const wanted = { 0: 4, 4: 4, 5: 6, 9: 10, 10: 10, 33: 40, 101: 200, 1000: 1000 };
  for (const [value, end] of Object.entries(wanted)) assert.equal(axisEnd(Number(value)), end);
});

test("usage is summed by tenant", () => {
  const day = { day: "2026-01-02", cpu_seconds: 1, wall_seconds: 2, bytes_in: 3, bytes_out: 4 };
  assert.deepEqual(
    sumByTenant([
      { ...day, tenant: "acme", jobs: { ok: 2, timeout: 1 } },
      { ...day, tenant: "beta", jobs: { ok: 1 }, cpu_seconds: 9 },
      { ...day, tenant: "acme", jobs: {} },
    ]),
    [
      { tenant: "beta", jobs: 1, other: 0, cpuSeconds: 9, wallSeconds: 2, bytesOut: 4 },
      { tenant: "acme", jobs: 3, other: 1, cpuSeconds: 2, wallSeconds: 4, bytesOut: 8 },
    ],
  );
});

test("each version of workers is seen once", () => {
  assert.deepEqual(versionsOf([{ version: "v2" }, { version: null }, { version: "v2" }]), [
    "not reported",
    "v2",
  ]);
});

test("different builds of an environment are seen", () => {
  const worker = (hash: string) => ({ environments: [{ name: "default", ready: 1, hash }] });
  assert.deepEqual(mixedEnvironments([worker("a"), worker("a")]), []);
  assert.deepEqual(mixedEnvironments([worker("a"), worker("b")]), ["default"]);
});
