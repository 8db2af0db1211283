// The list of the last runs, without the storage in which it is.
import { compact, type Options, parseOptions, withoutValues } from "./options";

/** A run, or a script that was replaced before it ran. */
export interface Entry {
  /** When it ended, in milliseconds since 1970. */
  at: number;
  script: string;
  options: Options;
  /** "succeeded", the code of a failure, or "not run". */
  outcome: string;
  /** How long it took, in milliseconds; undefined if it did not run. */
  ms?: number;
  /** The names of the files, whose content is not kept. */
  files: readonly string[];
}

const mostEntries = 20;
/** Of the list as JSON. A browser stores about five million characters for a site. */
const mostCharacters = 600_000;

/** Returns the list with a new entry first, within its bounds. The same script, options and outcome twice in a row are
 * one entry. */
export function withEntry(list: readonly Entry[], entry: Entry): Entry[] {
  const kept = { ...entry, options: withoutValues(entry.options) };
  const [newest, ...rest] = list;
  const others = newest !== undefined && same(newest, kept) ? rest : list;
  return bounded([kept, ...others.filter((each) => each.outcome !== "not run" || !same(each, kept))]);
}

function same(a: Entry, b: Entry): boolean {
  return (
    a.script === b.script &&
    a.outcome === b.outcome &&
    JSON.stringify(compact(a.options)) === JSON.stringify(compact(b.options))
  );
}

/** Returns the first entries that fit. */
export function bounded(list: readonly Entry[], most = mostCharacters): Entry[] {
  const kept: Entry[] = [];
  let size = 0;
  for (const entry of list.slice(0, mostEntries)) {
    size += JSON.stringify(encode(entry)).length + 1;
    if (size > most) break;
    kept.push(entry);
  }
  return kept;
}

function encode(entry: Entry): unknown {
  return { ...entry, options: compact(entry.options) };
}

/** Returns the list as it is stored. */
export function encodeList(list: readonly Entry[]): unknown {
  return list.map(encode);
}

/** Returns a list from storage, without entries that cannot be read. */
export function decodeList(data: unknown): Entry[] {
  if (!Array.isArray(data)) return [];
  return data.flatMap((each) => decode(each) ?? []);
}

function decode(data: unknown): Entry | undefined {
  if (data === null || typeof data !== "object") return undefined;
  const { at, script, outcome, ms, files, options } = data as Record<string, unknown>;
  const read = parseOptions(options);
  if (typeof at !== "number" || Number.isNaN(new Date(at).getTime())) return undefined;
  if (typeof script !== "string" || typeof outcome !== "string") return undefined;
  if (read === undefined) return undefined;
  const names = Array.isArray(files) ? files.filter((name) => typeof name === "string") : [];
  const entry: Entry = { at, script, options: read, outcome, files: names };
  return typeof ms === "number" ? { ...entry, ms } : entry;
}

/** Returns a line that shows which script it is: the first one that is neither empty nor an import, nor the head of a
 * main() without parameters, which most scripts have. */
export function titleOf(script: string): string {
  const lines = script
    .split("\n")
    .map((line) => line.replace(/^["'#\s]+|["'\s]+$/g, ""))
    .filter((line) => line !== "");
  const line =
    lines.find((each) => !/^((import|from)\b|def main\(\):$)/.test(each)) ?? lines[0] ?? "empty script";
  return line.length > 70 ? `${line.slice(0, 69)}…` : line;
}
