import type { ComponentChildren } from "preact";

/** A column of a table. */
export interface Column<Row> {
  name: string;
  cell: (row: Row) => ComponentChildren;
  /** "number" is set flush right; "wide" takes the room that is left. */
  kind?: "number" | "wide" | undefined;
}

interface TableProps<Row> {
  /** The name of the table, which screen readers announce. */
  label: string;
  /** The first column names the row. */
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string;
  /** The class of a row. */
  classOf?: (row: Row) => string | undefined;
}

/** Shows rows as a table; where there is little room, as cards. */
export function Table<Row>({ label, columns, rows, keyOf, classOf }: TableProps<Row>) {
  return (
    <table aria-label={label}>
      <thead>
        <tr>
          {columns.map(({ name, kind }) => (
            <th key={name} scope="col" class={kind}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)} class={classOf?.(row)}>
            {columns.map(({ name, cell, kind }, index) =>
              index === 0 ? (
                <th key={name} scope="row" data-name={name}>
                  {cell(row)}
                </th>
              ) : (
                <td key={name} class={kind} data-name={name}>
                  {cell(row)}
                </td>
              ),
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
