// Limits of jobs, and what a job used of them.
import type { Job, Schemas } from "../shared/api";
import { bytes, count, duration } from "../shared/format";

export type Limit = Schemas["Limit"];

const names: Record<string, string> = {
  wall: "wall time",
  cpu: "CPU time",
  memory: "memory",
  processes: "processes and threads",
  result: "size of the result",
  output_files: "number of files",
  output_files_bytes: "size of all files",
  file_size: "size of a file",
  file_locks: "file locks",
  displays: "number of displays",
  display_forms: "forms of a display",
  display_bytes: "size of displays",
};

/** Returns the name of a limit for people. */
export function limitName(name: string): string {
  return Object.hasOwn(names, name) ? (names[name] as string) : name;
}

/** Returns the value of a limit with its unit. */
export function limitText(limit: Limit): string {
  switch (limit.unit) {
    case "bytes":
      return bytes(limit.value);
    case "seconds":
      return duration(limit.value * 1000);
    case "count":
      return count(limit.value);
    default:
      return `${count(limit.value)} ${limit.unit}`;
  }
}

/** A resource that a job used. */
export interface Used {
  name: string;
  /** What was used, for people. */
  text: string;
  /** The limit for people; undefined if it is not known. */
  limit: string | undefined;
  /** The part of the limit that was used, from 0 to 1; undefined if it is not known. */
  share: number | undefined;
}

/** Returns what a job used of a resource: used and limit are milliseconds or bytes. */
function usedOf(
  name: string,
  used: number,
  limit: number | undefined,
  text: (value: number) => string,
): Used {
  const known = limit !== undefined && limit > 0;
  return {
    name: limitName(name),
    text: text(used),
    limit: known ? text(limit) : undefined,
    share: known ? Math.min(1, used / limit) : undefined,
  };
}

/** Returns what a job used beside its limits. */
export function usedBy(job: Job): Used[] {
  const usage = job.usage;
  if (usage === undefined) return [];
  const limits = job.limits;
  // The limit that ended the job is known in any case.
  const met = (name: string) => (job.limit?.name === name ? job.limit.value : undefined);
  const seconds = (value: number | undefined) => (value === undefined ? undefined : value * 1000);
  const mebibytes = limits === undefined ? undefined : limits.memory_mb * (1 << 20);
  const used = [usedOf("wall", usage.run_ms, seconds(met("wall") ?? limits?.wall_seconds), duration)];
  if (usage.cpu_ms !== null) {
    used.push(usedOf("cpu", usage.cpu_ms, seconds(met("cpu") ?? limits?.cpu_seconds), duration));
  }
  if (usage.memory_peak_bytes !== null) {
    used.push(usedOf("memory", usage.memory_peak_bytes, met("memory") ?? mebibytes, bytes));
  }
  return used;
}

/** Returns how far a job that met a limit was. */
export function metLimit(job: Job): Used | undefined {
  const limit = job.limit;
  if (limit === undefined) return undefined;
  const name = limitName(limit.name);
  const used = usedBy(job).find((each) => each.name === name);
  return used?.limit === undefined ? { name, text: "", limit: limitText(limit), share: undefined } : used;
}
