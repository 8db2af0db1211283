// What the last run is doing. It is apart from run.ts, since what replaces the script also takes away its output.
import { signal } from "@preact/signals";
import type { Output } from "../job/job_view";
import type { ApiError, Job } from "../shared/api";

export type Run =
  | { phase: "idle" }
  | { phase: "sending"; cancelling: boolean }
  | { phase: "live"; job: Job; output: Output; cancelling: boolean }
  | { phase: "ended"; job: Job; output: Output }
  | { phase: "failed"; error: ApiError; job?: Job; output?: Output };

export const run = signal<Run>({ phase: "idle" });

/** Reports whether a run is going on. */
export function isBusy(): boolean {
  return run.value.phase === "sending" || run.value.phase === "live";
}
