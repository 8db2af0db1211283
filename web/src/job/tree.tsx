import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { Data } from "../shared/data";
import { isNumber, numberText, type Value } from "../shared/exact_json";
import { count, counted } from "../shared/format";
import { LongText } from "./long_text";
import { memo } from "./memo";
import { cut, preview } from "./preview";
import { type Expansion, firstOpen, isLong, type Row, rowsOf, shortText, sizeOf, toggled } from "./tree_rows";

/** Deeper levels are not indented further; their rows name the level. */
const mostIndent = 12;

/** Shows a value of JSON as a tree (https://www.w3.org/WAI/ARIA/apg/patterns/treeview/). The tree has the focus as a
 * whole, and arrow keys move within it. */
export function Tree({ value, label }: { value: Value; label: string }) {
  const [expansion, setExpansion] = useState<Expansion>(() => ({ open: firstOpen(value), shown: new Map() }));
  const [active, setActive] = useState("0");
  const rows = useMemo(() => rowsOf(value, expansion), [value, expansion]);
  const prefix = useId();
  const box = useRef<HTMLDivElement>(null);
  const moved = useRef(false);
  useEffect(() => {
    if (!moved.current) return;
    moved.current = false;
    document.getElementById(`${prefix}${active}`)?.scrollIntoView({ block: "nearest" });
  }, [active, prefix]);
  const toggle = (row: Row) => {
    setExpansion((before) => toggled(before, row));
    // The row that asked for more is replaced by the first one that it shows.
    setActive(row.rest > 0 && typeof row.value !== "string" ? `${row.parent}.${row.position - 1}` : row.id);
  };
  const press = (event: KeyboardEvent) => {
    const move = moveOf(event.key, rows, active);
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    moved.current = true;
    if (move.toggle) toggle(move.row);
    else setActive(move.row.id);
  };
  const current = rows.some((row) => row.id === active) ? active : "0";
  return (
    <div
      ref={box}
      class="scroll tree"
      role="tree"
      aria-label={label}
      tabIndex={0}
      aria-activedescendant={`${prefix}${current}`}
      onKeyDown={press}
    >
      {rows.map((row) => (
        <TreeRow key={row.id} prefix={prefix} row={row} active={row.id === current} toggle={toggle} />
      ))}
    </div>
  );
}

interface Move {
  row: Row;
  toggle: boolean;
}

/** Returns what a key does in a tree; undefined if nothing. */
export function moveOf(key: string, rows: Row[], active: string): Move | undefined {
  const index = Math.max(
    0,
    rows.findIndex((row) => row.id === active),
  );
  const row = rows[index];
  if (row === undefined) return undefined;
  const to = (target: Row | undefined) => ({ row: target ?? row, toggle: false });
  switch (key) {
    case "ArrowDown":
      return to(rows[index + 1]);
    case "ArrowUp":
      return to(rows[index - 1]);
    case "Home":
      return to(rows[0]);
    case "End":
      return to(rows.at(-1));
    case "ArrowRight":
      return row.open === false ? { row, toggle: true } : to(row.open ? rows[index + 1] : row);
    case "ArrowLeft":
      return row.open ? { row, toggle: true } : to(rows.find((each) => each.id === row.parent));
    case "Enter":
    case " ":
      return { row, toggle: true };
  }
  return undefined;
}

interface RowProperties {
  prefix: string;
  row: Row;
  active: boolean;
  toggle: (row: Row) => void;
}

function TreeRow({ prefix, row, active, toggle }: RowProperties) {
  const opens = row.open !== undefined || row.rest > 0;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree handles the keys
    // biome-ignore lint/a11y/useFocusableInteractive: the tree has the focus
    <div
      id={`${prefix}${row.id}`}
      class={`row${active ? " active" : ""}${opens ? " opens" : ""}`}
      role="treeitem"
      aria-level={row.level}
      aria-posinset={row.position}
      aria-setsize={row.size}
      aria-expanded={row.open}
      aria-selected={active}
      style={{ "--indent": Math.min(row.level - 1, mostIndent) }}
      onClick={() => opens && toggle(row)}
    >
      <span class="marker" aria-hidden="true">
        {row.open === undefined ? "" : row.open ? "▾" : "▸"}
      </span>
      <span class="content">
        {row.level - 1 > mostIndent && <span class="quiet">level {row.level} </span>}
        {row.rest > 0 ? (
          <More row={row} />
        ) : (
          <Content label={row.label} value={row.value} open={row.open} shown={row.shown} />
        )}
      </span>
    </div>
  );
}

function More({ row }: { row: Row }) {
  const noun = typeof row.value === "string" ? "characters" : "items";
  return (
    <span class="more">
      More ({count(row.rest)} {noun} left)
    </span>
  );
}

type ContentProperties = Pick<Row, "label" | "value" | "open" | "shown">;

const Content = memo(function Content({ label, value, open, shown }: ContentProperties) {
  return (
    <>
      {label !== undefined && <Label label={label} />}
      {open === true ? <Opened value={value} shown={shown} /> : <Scalar value={value} />}
    </>
  );
});

function Label({ label }: { label: string | number }) {
  if (typeof label === "number") return <span class="index">{label}: </span>;
  const short = label.length > shortText ? `${cut(label, shortText)}…` : label;
  return (
    <>
      <span class="name">
        <Data text={/^[A-Za-z_][\w-]*$/.test(short) ? short : JSON.stringify(short)} />
      </span>
      {": "}
    </>
  );
}

function Opened({ value, shown }: { value: Value; shown: number }) {
  if (typeof value !== "string") return <span class="quiet">{sizeText(value)}</span>;
  return (
    <div class="opened">
      <LongText text={cut(value, shown)} />
    </div>
  );
}

function sizeText(value: Value): string {
  return counted(sizeOf(value), Array.isArray(value) ? "item" : "member");
}

/** Python writes numbers of up to 4,300 digits; a longer text is no number that it made. */
const mostDigits = 5_000;

function shortened(text: string): string {
  return text.length > mostDigits ? `${cut(text, mostDigits)}…` : text;
}

/** Shows a value in one line: a container by its beginning. */
export function Scalar({ value }: { value: Value }) {
  if (value === null || typeof value === "boolean") return <span class="word">{String(value)}</span>;
  if (isNumber(value)) {
    return (
      <span class="number">
        <Data text={shortened(numberText(value))} />
      </span>
    );
  }
  if (typeof value === "string") {
    const short = isLong(value) ? cut(value, shortText) : value;
    return (
      <>
        <span class="string">
          <Data text={JSON.stringify(short) + (short === value ? "" : "…")} />
        </span>
        {short !== value && <span class="quiet"> {counted(value.length, "character")}</span>}
      </>
    );
  }
  return (
    <>
      <span class="container">
        <Data text={preview(value, 60)} />
      </span>
      {sizeOf(value) > 0 && <span class="quiet"> {sizeText(value)}</span>}
    </>
  );
}
