// A list that is refreshed must not move under the reader's eyes, pointer or focus.

/** A row that is shown. */
export interface SteadyRow<Row> {
  row: Row;
  /** Whether the row is no longer in the list; it stays while the list is held. */
  gone: boolean;
}

export interface Steady<Row> {
  rows: SteadyRow<Row>[];
  /** How many rows are in the list and not shown, since they would move others. */
  held: number;
}

/** A held list has at most so many rows, and those that it had before: a pointer may rest on it for hours. */
const most = 500;

/** Returns the rows to show. While the list is held, those shown before keep their order, also those that are gone; new
 * ones are added at the end if they belong there. */
export function steady<Row>(
  before: Steady<Row>,
  fresh: readonly Row[],
  keyOf: (row: Row) => string,
  isHeld: boolean,
): Steady<Row> {
  if (!isHeld || before.rows.length === 0)
    return { rows: fresh.map((row) => ({ row, gone: false })), held: 0 };
  const places = new Map(fresh.map((row, place) => [keyOf(row), place]));
  let last = -1;
  const rows = before.rows.map(({ row }) => {
    const place = places.get(keyOf(row));
    places.delete(keyOf(row));
    last = Math.max(last, place ?? -1);
    const now = place === undefined ? undefined : fresh[place];
    return now === undefined ? { row, gone: true } : { row: now, gone: false };
  });
  let held = 0;
  for (const place of places.values()) {
    const row = fresh[place];
    if (row !== undefined && place > last && rows.length < most) rows.push({ row, gone: false });
    else held++;
  }
  return { rows, held };
}
