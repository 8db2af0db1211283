import { useMemo, useState } from "preact/hooks";
import { Data } from "../shared/data";
import { isNumber, type Value } from "../shared/exact_json";
import { count, counted } from "../shared/format";
import { memo } from "./memo";
import { cut } from "./preview";
import { Scroll } from "./scroll";
import { isNumeric, type Table } from "./table_shape";
import { Scalar } from "./tree";

const rowChunk = 100;
const columnChunk = 40;
/** A longer text of a cell is cut; the tree has all of it. */
const mostText = 300;

/** Shows a table, row by row as asked for. */
export function TableView({ table, label }: { table: Table; label: string }) {
  const [rows, setRows] = useState(rowChunk);
  const [columns, setColumns] = useState(columnChunk);
  const shownRows = Math.min(rows, table.rows);
  const shownColumns = Math.min(columns, table.columns);
  const numeric = useMemo(
    () => Array.from({ length: shownColumns }, (_, column) => isNumeric(table, column)),
    [table, shownColumns],
  );
  return (
    <>
      <Scroll class="table" label={label}>
        <table>
          <Head table={table} columns={shownColumns} numeric={numeric} />
          <tbody>
            {Array.from({ length: shownRows }, (_, row) => (
              <TableRow key={row} table={table} row={row} columns={shownColumns} numeric={numeric} />
            ))}
          </tbody>
        </table>
      </Scroll>
      <p class="quiet foot">
        {counted(table.rows, "row")}, {counted(table.columns, "column")}
        {shownRows < table.rows && (
          <button type="button" class="small" onClick={() => setRows(rows + 10 * rowChunk)}>
            More rows ({count(table.rows - shownRows)} left)
          </button>
        )}
        {shownColumns < table.columns && (
          <button type="button" class="small" onClick={() => setColumns(columns + columnChunk)}>
            More columns ({count(table.columns - shownColumns)} left)
          </button>
        )}
      </p>
    </>
  );
}

interface HeadProperties {
  table: Table;
  columns: number;
  numeric: boolean[];
}

function Head({ table, columns, numeric }: HeadProperties) {
  if (table.header.length === 0) return null;
  return (
    <thead>
      {table.header.map((level, index) => (
        <tr key={index}>
          <Corner count={table.indexColumns} />
          {level.slice(0, columns).map((label, column) => (
            <th key={column} scope="col" class={numeric[column] ? "end" : ""}>
              <Cell value={label} />
            </th>
          ))}
        </tr>
      ))}
    </thead>
  );
}

/** The cells above the labels or numbers of rows. */
function Corner({ count: columns }: { count: number }) {
  return <td colSpan={Math.max(1, columns)} />;
}

interface RowProperties {
  table: Table;
  row: number;
  columns: number;
  numeric: boolean[];
}

const TableRow = memo(function TableRow({ table, row, columns, numeric }: RowProperties) {
  return (
    <tr>
      {table.indexColumns === 0 ? (
        <th scope="row" class="end quiet">
          {row}
        </th>
      ) : (
        table.labels(row).map((label, level) => (
          <th key={level} scope="row" class={isNumber(label) ? "end" : ""}>
            <Cell value={label} />
          </th>
        ))
      )}
      {Array.from({ length: columns }, (_, column) => (
        <td key={column} class={numeric[column] ? "end" : ""}>
          <Cell value={table.cell(row, column)} />
        </td>
      ))}
    </tr>
  );
});

// Without its quotes, such a text would look like another value, or like none.
const ambiguous = /^(?:\s.*|.*\s|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|)$/s;

/** A cell: a text without quotes, unless it would be mistaken for something else. */
function Cell({ value }: { value: Value | undefined }) {
  if (value === undefined) return null;
  if (typeof value !== "string" || ambiguous.test(value)) return <Scalar value={value} />;
  return <Data text={value.length > mostText ? `${cut(value, mostText)}…` : value} />;
}
