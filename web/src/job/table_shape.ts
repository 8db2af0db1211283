// Which results are tables.
import { isNumber, Members, type Value } from "../shared/exact_json";

/** A result as a table. */
export interface Table {
  /** The levels of the header, from the top, each with a label for each column. */
  header: Value[][];
  /** The number of columns of labels before the others; 0 if the rows are numbered only. */
  indexColumns: number;
  columns: number;
  rows: number;
  /** Returns the labels of a row. */
  labels(row: number): Value[];
  /** Returns a cell; undefined if the row has none in this column. */
  cell(row: number, column: number): Value | undefined;
}

/** Returns the value as a table: that of a DataFrame or a Series (runner/protocol.md, "Results"), or a list of records;
 * undefined if it is neither. */
export function tableOf(value: Value): Table | undefined {
  if (Array.isArray(value)) return recordsOf(value);
  if (!(value instanceof Members) || value.names.length !== 3) return undefined;
  const [index, data] = [value.get("index"), value.get("data")];
  if (!Array.isArray(index) || !Array.isArray(data) || index.length !== data.length) return undefined;
  const columns = value.get("columns");
  if (Array.isArray(columns)) return frameOf(columns, index, data);
  const name = value.get("name");
  return name === undefined ? undefined : seriesOf(name, index, data);
}

function frameOf(columns: Value[], index: Value[], data: Value[]): Table | undefined {
  if (!data.every((row) => Array.isArray(row) && row.length === columns.length)) return undefined;
  return {
    header: headerOf(columns),
    columns: columns.length,
    rows: data.length,
    ...labelsOf(index),
    cell: (row, column) => (data[row] as Value[])[column],
  };
}

function seriesOf(name: Value, index: Value[], data: Value[]): Table {
  const header = name === null ? [] : headerOf([name]);
  return { header, columns: 1, rows: data.length, ...labelsOf(index), cell: (row) => data[row] };
}

/** Returns the levels of the labels of columns: a label of several levels is a list. */
function headerOf(columns: Value[]): Value[][] {
  const first = columns[0];
  if (!Array.isArray(first) || !sameLengths(columns, first.length)) return [columns];
  return first.map((_, level) => columns.map((column) => (column as Value[])[level] ?? null));
}

function labelsOf(index: Value[]): Pick<Table, "indexColumns" | "labels"> {
  const first = index[0];
  if (Array.isArray(first) && sameLengths(index, first.length)) {
    return { indexColumns: first.length, labels: (row) => index[row] as Value[] };
  }
  return { indexColumns: 1, labels: (row) => [index[row] ?? null] };
}

function sameLengths(values: Value[], length: number): boolean {
  return values.every((value) => Array.isArray(value) && value.length === length);
}

/** Returns a list of objects as a table, if they have mostly the same names. */
function recordsOf(list: Value[]): Table | undefined {
  if (list.length === 0) return undefined;
  const places = new Map<string, number>();
  let filled = 0;
  for (const record of list) {
    if (!(record instanceof Members)) return undefined;
    for (const name of record.names) if (!places.has(name)) places.set(name, places.size);
    if (new Set(record.names).size < record.names.length) return undefined; // a table would hide a member
    filled += record.names.length;
  }
  if (places.size === 0 || filled < 0.6 * places.size * list.length) return undefined;
  const names = [...places.keys()];
  return {
    header: [names],
    indexColumns: 0,
    columns: names.length,
    rows: list.length,
    labels: () => [],
    cell: (row, column) => (list[row] as Members).get(names[column] ?? ""),
  };
}

/** Reports whether the first cells of a column are numbers, so that it is aligned at its end. */
export function isNumeric(table: Table, column: number): boolean {
  let numbers = 0;
  for (let row = 0; row < Math.min(table.rows, 100); row++) {
    const cell = table.cell(row, column);
    if (isNumber(cell)) numbers++;
    else if (cell !== null && cell !== undefined) return false;
  }
  return numbers > 0;
}
