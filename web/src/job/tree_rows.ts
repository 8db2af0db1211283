// The rows of a tree: a value of JSON, as far as it is expanded.
import { Members, type Value } from "../shared/exact_json";

/** How many items of a container, and characters of a text, are shown at first, and more with each step. */
export const chunk = 100;
export const textChunk = 10_000;
/** A text of more characters, or of several lines, is cut until it is opened. */
export const shortText = 160;

/** A row of a tree. */
export interface Row {
  /** The indexes that lead to the value, such as "0.3.1"; with ":more" for the row that shows more of it. */
  id: string;
  /** The id of the row of the container; empty for the first row. */
  parent: string;
  /** The depth, from 1. */
  level: number;
  /** The place in the container, from 1, and the number of its items. */
  position: number;
  size: number;
  /** The name or index in the container; undefined for the first row. */
  label: string | number | undefined;
  value: Value;
  /** Whether the row is open; undefined if there is nothing to open. */
  open: boolean | undefined;
  /** How many items or characters of the value are shown if it is open. */
  shown: number;
  /** In a row that shows more: how much is not shown yet. */
  rest: number;
}

/** What of a tree is open, and how much of each value is shown if it is more than at first. */
export interface Expansion {
  open: ReadonlySet<string>;
  shown: ReadonlyMap<string, number>;
}

/** Returns how many items a value has; 0 if it is no container. */
export function sizeOf(value: Value): number {
  if (Array.isArray(value)) return value.length;
  return value instanceof Members ? value.names.length : 0;
}

/** Returns whether a value is a text that is cut until it is opened. */
export function isLong(value: Value): value is string {
  return typeof value === "string" && (value.length > shortText || value.includes("\n"));
}

function child(value: Value, index: number): { label: string | number; value: Value } {
  if (value instanceof Members)
    return { label: value.names[index] ?? "", value: value.values[index] ?? null };
  return { label: index, value: Array.isArray(value) ? (value[index] ?? null) : null };
}

/** Returns the rows of a value. */
export function rowsOf(value: Value, expansion: Expansion): Row[] {
  const rows: Row[] = [];
  const first = { id: "0", parent: "", level: 1, position: 1, size: 1, label: undefined, shown: 0, rest: 0 };
  append(rows, { ...first, value, open: isOpen(value, "0", expansion) }, expansion);
  return rows;
}

function isOpen(value: Value, id: string, expansion: Expansion): boolean | undefined {
  return sizeOf(value) > 0 || isLong(value) ? expansion.open.has(id) : undefined;
}

function append(rows: Row[], row: Row, expansion: Expansion): void {
  rows.push(row);
  if (row.open !== true) return;
  const { id, value, level } = row;
  const text = typeof value === "string";
  const size = text ? value.length : sizeOf(value);
  const shown = Math.min(size, expansion.shown.get(id) ?? (text ? textChunk : chunk));
  row.shown = shown;
  for (let index = 0; !text && index < shown; index++) {
    const item = child(value, index);
    const itemID = `${id}.${index}`;
    const open = isOpen(item.value, itemID, expansion);
    const place = { id: itemID, parent: id, level: level + 1, position: index + 1, size };
    append(rows, { ...place, ...item, open, shown: 0, rest: 0 }, expansion);
  }
  if (shown === size) return;
  const last = {
    position: shown + 1,
    size,
    label: undefined,
    value,
    open: undefined,
    shown: 0,
    rest: size - shown,
  };
  rows.push({ id: `${id}:more`, parent: id, level: level + 1, ...last });
}

/** Returns what is open at first: containers of the outer levels, as far as few rows follow. */
export function firstOpen(value: Value): Set<string> {
  const open = new Set<string>();
  let rows = 1;
  const queue: { id: string; level: number; value: Value }[] = [{ id: "0", level: 1, value }];
  for (const each of queue) {
    const size = sizeOf(each.value);
    if (size === 0 || each.level > 5) continue;
    const more = Math.min(size, chunk);
    if (open.size > 0 && rows + more > 60) continue;
    rows += more;
    open.add(each.id);
    for (let index = 0; index < Math.min(size, chunk); index++) {
      queue.push({ id: `${each.id}.${index}`, level: each.level + 1, value: child(each.value, index).value });
    }
  }
  return open;
}

/** Returns the expansion after a row was opened or closed, or after more was asked for. */
export function toggled(expansion: Expansion, row: Row): Expansion {
  if (row.rest > 0) {
    const step = typeof row.value === "string" ? textChunk * 10 : chunk;
    const shown = row.position - 1 + step;
    return { ...expansion, shown: new Map(expansion.shown).set(row.parent, shown) };
  }
  if (row.open === undefined) return expansion;
  const open = new Set(expansion.open);
  if (row.open) open.delete(row.id);
  else open.add(row.id);
  return { ...expansion, open };
}
