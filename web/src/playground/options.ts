// What a run has besides its script, as the user typed it, and what that is in a request.
import type { ExecuteRequest, Schemas } from "../shared/api";

export type Entry = ExecuteRequest["entry"];
export type LimitName = keyof Schemas["RequestLimits"];

/** The options as they are typed. They are kept as text, so that nothing is lost while a field is half written. */
export interface Options {
  entry: Entry;
  /** The name of an environment; empty for the service's choice. */
  environment: string;
  /** The arguments of main(), a JSON object. */
  args: string;
  /** The arguments of a script: one per line, or a JSON list. */
  argv: string;
  stdin: string;
  /** Environment variables, one NAME=VALUE per line. */
  env: string;
  /** Labels, one KEY=VALUE per line. */
  labels: string;
  limits: Record<LimitName, string>;
}

/** What is wrong with a field, in a sentence. */
export interface Problem {
  field: "args" | "argv" | "env" | "labels" | LimitName;
  message: string;
}

/** The fields of a request that come from the options; those that are not set are missing. */
export interface Fields {
  entry?: Entry;
  environment?: string;
  /** JSON as it was typed: parsing it would round large numbers. */
  args?: string;
  stdin?: string;
  env?: Record<string, string>;
  labels?: Record<string, string>;
  limits?: Partial<Record<LimitName, number>>;
}

/** Each limit with its label, its unit, and whether it takes fractions. */
export const limits: Record<LimitName, { label: string; unit: string; least: number; whole: boolean }> = {
  wall_seconds: { label: "Wall time", unit: "s", least: 0.1, whole: false },
  cpu_seconds: { label: "CPU time", unit: "s", least: 0.1, whole: false },
  memory_mb: { label: "Memory", unit: "MiB", least: 32, whole: false },
  processes: { label: "Processes", unit: "", least: 1, whole: true },
  output_bytes: { label: "Output", unit: "bytes", least: 1, whole: true },
};

export const limitNames = Object.keys(limits) as LimitName[];

export const entries: Record<Entry, string> = {
  main: "calls main(); the result is what it returns",
  script: "as python script.py: sys.argv, an exit code, no result",
  cell: "as a notebook’s cell: the result is the last expression",
};

/** Returns options that change nothing. */
export function defaultOptions(): Options {
  return {
    entry: "main",
    environment: "",
    args: "",
    argv: "",
    stdin: "",
    env: "",
    labels: "",
    limits: { wall_seconds: "", cpu_seconds: "", memory_mb: "", processes: "", output_bytes: "" },
  };
}

/** Returns the fields of a request, and what is wrong with the options. */
export function readOptions(options: Options): { fields: Fields; problems: Problem[] } {
  const problems: Problem[] = [];
  const note = (field: Problem["field"]) => (message: string) => {
    problems.push({ field, message });
    return undefined;
  };
  const fields: Fields = {};
  if (options.entry !== "main") fields.entry = options.entry;
  if (options.environment !== "") fields.environment = options.environment;
  const args = readArgs(options, note);
  if (args !== undefined) fields.args = args;
  if (options.stdin !== "") fields.stdin = options.stdin;
  const env = readPairs(options.env, /^[A-Za-z_][A-Za-z0-9_]{0,127}$/, note("env"));
  if (env !== undefined) fields.env = env;
  const labels = readPairs(options.labels, /^[A-Za-z0-9][-A-Za-z0-9_./]*$/, note("labels"));
  if (labels !== undefined) fields.labels = labels;
  const read = readLimits(options, note);
  if (Object.keys(read).length > 0) fields.limits = read;
  return { fields, problems };
}

type Note = (field: Problem["field"]) => (message: string) => undefined;

function readArgs(options: Options, note: Note): string | undefined {
  if (options.entry === "main") return readNamedArgs(options.args, note("args"));
  if (options.entry === "script") return readArgv(options.argv, note("argv"));
  return undefined; // a cell takes none
}

function readNamedArgs(text: string, note: (message: string) => undefined): string | undefined {
  if (text.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (failure) {
    return note(`The arguments are not JSON: ${(failure as Error).message}.`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    return note('The arguments of main() are a JSON object with their names, such as {"n": 3}.');
  }
  return text.trim();
}

function readArgv(text: string, note: (message: string) => undefined): string | undefined {
  if (text.trim() === "") return undefined;
  if (!text.trimStart().startsWith("[")) {
    return JSON.stringify(text.split(/\r?\n/).filter((line) => line !== ""));
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (failure) {
    return note(`The list of arguments is not JSON: ${(failure as Error).message}.`);
  }
  if (!Array.isArray(value) || value.some((each) => typeof each !== "string")) {
    return note('The arguments of a script are a JSON list of strings, such as ["--fast", "7"], or lines.');
  }
  return JSON.stringify(value);
}

function readPairs(
  text: string,
  pattern: RegExp,
  note: (message: string) => undefined,
): Record<string, string> | undefined {
  const pairs: Record<string, string> = Object.create(null);
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === "") continue;
    const [name, value] = splitPair(line);
    if (value === undefined) return note(`“${line.trim()}” has no “=”. Each line is NAME=VALUE.`);
    if (!pattern.test(name)) return note(`“${name}” cannot be a name.`);
    if (name in pairs) return note(`“${name}” is there twice.`);
    pairs[name] = value;
  }
  return Object.keys(pairs).length > 0 ? pairs : undefined;
}

function splitPair(line: string): [name: string, value: string | undefined] {
  const at = line.indexOf("=");
  return at < 0 ? [line.trim(), undefined] : [line.slice(0, at).trim(), line.slice(at + 1)];
}

function readLimits(options: Options, note: Note): Partial<Record<LimitName, number>> {
  const read: Partial<Record<LimitName, number>> = {};
  for (const name of limitNames) {
    const text = options.limits[name].trim();
    if (text === "") continue;
    const { label, least, whole } = limits[name];
    const value = Number(text);
    if (!Number.isFinite(value) || value < least || (whole && !Number.isInteger(value))) {
      note(name)(`${label} is a ${whole ? "whole number" : "number"} of at least ${least}.`);
    } else read[name] = value;
  }
  return read;
}

/** Returns the options with the names of environment variables but not their values, which may be secrets: this form
 * is for storage that outlives the tab. */
export function withoutValues(options: Options): Options {
  return {
    ...options,
    env: variableNames(options.env)
      .map((name) => `${name}=\n`)
      .join(""),
  };
}

/** Returns the names of the environment variables. */
export function variableNames(env: string): string[] {
  return env
    .split(/\r?\n/)
    .filter((line) => line.includes("="))
    .map((line) => splitPair(line)[0]);
}

/** Returns short texts for what differs from the defaults. */
export function summary(options: Options): string[] {
  const texts: string[] = [];
  if (options.entry !== "main") texts.push(`entry ${options.entry}`);
  if (options.environment !== "") texts.push(`environment ${options.environment}`);
  if (options.entry === "main" && options.args.trim() !== "") texts.push(`args ${shorten(options.args)}`);
  if (options.entry === "script" && options.argv.trim() !== "") texts.push(`args ${shorten(options.argv)}`);
  if (options.stdin !== "") texts.push(`stdin ${shorten(options.stdin)}`);
  const names = variableNames(options.env);
  if (names.length > 0) texts.push(`env ${shorten(names.join(", "))}`);
  if (options.labels.trim() !== "") texts.push(`labels ${shorten(options.labels)}`);
  for (const name of limitNames) {
    const text = options.limits[name].trim();
    if (text !== "") texts.push(`${limits[name].label.toLowerCase()} ${text} ${limits[name].unit}`.trimEnd());
  }
  return texts;
}

function shorten(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > 28 ? `${line.slice(0, 27)}…` : line;
}

/** Returns options from data that was stored or shared; undefined if it has another form. */
export function parseOptions(data: unknown): Options | undefined {
  if (data === null || typeof data !== "object") return undefined;
  const options = defaultOptions();
  const given = data as Record<string, unknown>;
  for (const name of ["environment", "args", "argv", "stdin", "env", "labels"] as const) {
    const value = given[name];
    if (value === undefined) continue;
    if (typeof value !== "string") return undefined;
    options[name] = value;
  }
  if (given.entry !== undefined) {
    if (typeof given.entry !== "string" || !Object.hasOwn(entries, given.entry)) return undefined;
    options.entry = given.entry as Entry;
  }
  const lower = given.limits;
  if (lower === undefined) return options;
  if (lower === null || typeof lower !== "object") return undefined;
  for (const name of limitNames) {
    const value = (lower as Record<string, unknown>)[name];
    if (value === undefined) continue;
    if (typeof value !== "string") return undefined;
    options.limits[name] = value;
  }
  return options;
}

/** Returns what differs from the defaults, as parseOptions reads it. */
export function compact(options: Options): Record<string, unknown> {
  const changed: Record<string, unknown> = {};
  if (options.entry !== "main") changed.entry = options.entry;
  for (const name of ["environment", "args", "argv", "stdin", "env", "labels"] as const) {
    if (options[name] !== "") changed[name] = options[name];
  }
  const set = limitNames.filter((name) => options.limits[name] !== "");
  if (set.length > 0) changed.limits = Object.fromEntries(set.map((name) => [name, options.limits[name]]));
  return changed;
}
