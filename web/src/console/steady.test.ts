import assert from "node:assert/strict";
import test from "node:test";
import { type Steady, steady } from "./steady";

const keyOf = (row: string) => row.slice(0, 1);

function shown({ rows, held }: Steady<string>): string {
  return `${rows.map(({ row, gone }) => (gone ? `(${row})` : row)).join(" ")} +${held}`;
}

test("a list that is not held is as fresh as it can be", () => {
  const before = steady({ rows: [], held: 0 }, ["a", "b"], keyOf, false);
  assert.equal(shown(steady(before, ["c", "b"], keyOf, false)), "c b +0");
});

test("a held list keeps its rows, renews them, and adds what belongs at its end", () => {
  const before = steady({ rows: [], held: 0 }, ["a", "b", "c"], keyOf, false);
  const held = steady(before, ["x", "a2", "y", "c2", "z"], keyOf, true);
  assert.equal(shown(held), "a2 (b) c2 z +2");
  assert.equal(shown(steady(held, ["c3", "z3"], keyOf, true)), "(a2) (b) c3 z3 +0");
  assert.equal(shown(steady(held, ["c3", "z3"], keyOf, false)), "c3 z3 +0");
});

test("an empty list takes rows although it is held", () => {
  assert.equal(shown(steady({ rows: [], held: 0 }, ["a"], keyOf, true)), "a +0");
});

test("a list that is held for hours does not grow without end", () => {
  let list = steady({ rows: [], held: 0 }, ["0"], String, false);
  for (let round = 1; round <= 10_000; round++) list = steady(list, [`${round}`], String, true);
  assert.ok(list.rows.length <= 1_000, `${list.rows.length} rows`);
  assert.equal(list.held, 1);
});
