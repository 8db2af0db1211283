import type { Job } from "../shared/api";

/** Where a script failed. */
export interface ErrorLine {
  /** The line, from 1. */
  line: number;
  /** The column in characters, from 1. */
  column?: number;
  message: string;
}

// A frame of the script. The lines of a group of exceptions begin with bars.
const scriptFrame = /^[ |+-]*File "(?:script\.py|cell)", line (\d+)/;

/** Reports whether a line of a traceback names a line of the script itself. */
export function isScriptFrame(line: string): boolean {
  return scriptFrame.test(line);
}

/** Returns the line of the script at which a job failed: that of a syntax error, or of the innermost frame of the script
 * in the traceback; undefined if there is none. */
export function errorLine(job: Job): ErrorLine | undefined {
  const message = job.error ?? job.code ?? "";
  if (job.line !== undefined) {
    return job.column === undefined
      ? { line: job.line, message }
      : { line: job.line, column: job.column, message };
  }
  // The exception's own text is at the end, and may look like frames.
  let traceback = (job.traceback ?? "").trimEnd();
  const text = message.trimEnd();
  if (text !== "" && traceback.endsWith(text)) traceback = traceback.slice(0, -text.length);
  const line = traceback
    .split("\n")
    .map((each) => Number(scriptFrame.exec(each)?.[1]))
    .findLast((each) => each >= 1);
  return line === undefined ? undefined : { line, message };
}
