// The text of a job's response, which has its result as the script made it.
import { exactOf, Members, parseExact, type Value } from "./exact_json";

/** Where a parsed job keeps its text. A copy by {...job} keeps it too; JSON and structured clones have none. */
const source = Symbol("source");

interface Sourced {
  [source]?: string;
}

/** Returns the value of a JSON text; that of a job remembers the text. */
export function parseResponse<T>(text: string): T {
  const value = JSON.parse(text) as T;
  if (typeof value === "object" && value !== null && "job_id" in value) (value as Sourced)[source] = text;
  return value;
}

/** Returns a part of a job by the names and indexes that lead to it, exactly as the service sent it if that is known;
 * undefined if there is no such part. */
export function exactPart(job: object, ...path: (string | number)[]): Value | undefined {
  let part: Value | undefined = exactJob(job);
  for (const step of path) {
    if (typeof step === "string") part = part instanceof Members ? part.get(step) : undefined;
    else part = Array.isArray(part) ? part[step] : undefined;
  }
  return part;
}

const parsed = new WeakMap<object, Value>();

function exactJob(job: object): Value {
  let value = parsed.get(job);
  if (value === undefined) {
    const text = (job as Sourced)[source];
    value = text === undefined ? exactOf(job) : parseExact(text);
    parsed.set(job, value);
  }
  return value;
}
