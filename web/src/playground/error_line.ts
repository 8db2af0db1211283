import type { Job } from "../shared/api";

/** The line of the script at which a job failed. */
export interface Mark {
  /** From 1. */
  line: number;
  /** The column of a syntax error in characters, from 1; undefined otherwise. */
  column?: number;
  message: string;
}

/** The name that the script has in tracebacks: the second is that of a cell. */
const frame = /^[ |+-]*File "(?:script\.py|cell)", line (\d+)/gm;

/** Returns where the script failed: the place of a syntax error, or the last frame of the script in the traceback. */
export function markOf(job: Job): Mark | undefined {
  const message = job.error ?? job.code ?? "";
  if (job.line !== undefined) {
    return job.column === undefined
      ? { line: job.line, message }
      : { line: job.line, column: job.column, message };
  }
  const last = [...(job.traceback ?? "").matchAll(frame)].at(-1);
  return last === undefined ? undefined : { line: Number(last[1]), message };
}
