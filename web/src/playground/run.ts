// A run: the request, the events of its job, and its end.
import { errorLine } from "../job/error_line";
import type { Output } from "../job/job_view";
import { ApiError, type Job, jobPath, request, type Schemas, send } from "../shared/api";
import { sleep, watch } from "../shared/events";
import { token, tokenRefused } from "../shared/session";
import { adopt } from "./draft";
import { addToHistory } from "./history";
import { type Entry, entries } from "./options";
import { bodyOf, idempotencyKey } from "./request";
import { isBusy, run } from "./run_state";
import { files, mark, options, panel, read, script, setOptions, status } from "./state";

/** How often the page shows new output, in milliseconds. */
const interval = 60;

let controller = new AbortController();
/** What was sent, so that the page knows whether the editor still has it. */
let sent = { script: "", options: options.value, files: files.value, began: 0 };

/** Runs what is on the page. */
export async function start(): Promise<void> {
  if (isBusy()) {
    status.value = "A job is running. Esc cancels it.";
    return;
  }
  const { fields, problems } = read.value;
  const problem = problems[0];
  if (problem !== undefined) {
    panel.value = "options";
    status.value = `The options need a change. ${problem.message}`;
    setTimeout(() => document.getElementById(`option-${problem.field}`)?.focus());
    return;
  }
  adopt();
  mark.value = undefined;
  sent = { script: script.value, options: options.value, files: files.value, began: Date.now() };
  controller = new AbortController();
  run.value = { phase: "sending", cancelling: false };
  status.value = "Sending";
  try {
    const { job_id } = await submit(bodyOf(sent.script, fields, sent.files), controller.signal);
    const cancelling = run.value.phase === "sending" && run.value.cancelling;
    run.value = { phase: "live", job: newJob(job_id), output: { stdout: "", stderr: "" }, cancelling };
    if (cancelling) void cancelJob(job_id);
    await follow(job_id);
  } catch (failure) {
    fail(failure);
  }
}

/** Runs the script with another entry. */
export async function runAs(entry: Entry): Promise<void> {
  setOptions({ entry });
  status.value = `Entry ${entry}: ${entries[entry]}`;
  await start();
}

/** Sends the request. If the connection fails, it is sent once more: with its key that is the same job. */
async function submit(body: Blob | FormData, signal: AbortSignal): Promise<Schemas["Accepted"]> {
  const headers = { "Idempotency-Key": idempotencyKey() };
  try {
    return await request("/execute", { method: "POST", body, headers, signal });
  } catch (failure) {
    if (!(failure instanceof ApiError) || failure.status !== 0) throw failure;
    await sleep(500, signal);
    return await request("/execute", { method: "POST", body, headers, signal });
  }
}

function newJob(job_id: string): Job {
  return {
    job_id,
    status: "queued",
    created_at: new Date().toISOString(),
    started_at: null,
    finished_at: null,
  } as Job;
}

/** Shows the events of a job until its end. */
async function follow(id: string): Promise<void> {
  const output: Output = { stdout: "", stderr: "" };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const show = () => {
    timer = undefined;
    if (run.value.phase === "live") run.value = { ...run.value, output: { ...output } };
  };
  try {
    for await (const event of watch(id, controller.signal)) {
      if (event.type === "state") setState(event.state.status);
      else if (event.type === "end") return end(event.job, output);
      else {
        output[event.type] += event.text;
        timer ??= setTimeout(show, interval);
      }
    }
    end(await request<Job>(jobPath(id), { signal: controller.signal }), output);
  } finally {
    clearTimeout(timer);
  }
}

function setState(state: Job["status"]): void {
  if (run.value.phase !== "live") return;
  const { job } = run.value;
  const started = state === "running" ? (job.started_at ?? new Date().toISOString()) : job.started_at;
  run.value = { ...run.value, job: { ...job, status: state, started_at: started } };
  if (!run.value.cancelling) status.value = "";
}

function end(job: Job, output: Output): void {
  run.value = { phase: "ended", job, output };
  const ms = job.usage?.run_ms ?? Date.now() - sent.began;
  const found = errorLine(job);
  // The view of the job reads out the outcome.
  status.value = "";
  if (found !== undefined && sent.script === script.value) {
    mark.value = found;
    status.value = `Line ${found.line} is marked in the editor`;
  }
  addToHistory({
    at: Date.now(),
    script: sent.script,
    options: sent.options,
    outcome: job.status === "succeeded" ? "succeeded" : (job.code ?? job.status),
    ms,
    files: sent.files.map((file) => file.path),
  });
}

function fail(failure: unknown): void {
  if (controller.signal.aborted) {
    run.value = { phase: "idle" };
    status.value = "Stopped";
    return;
  }
  const known = failure instanceof ApiError;
  const error = known ? failure : new ApiError(0, "page", `The page failed: ${String(failure)}`);
  const { value } = run;
  run.value =
    value.phase === "live"
      ? { phase: "failed", error, job: value.job, output: value.output }
      : { phase: "failed", error };
  status.value = error.status === 401 ? tokenNeeded() : "Not run";
  if (value.phase === "live") status.value = "The connection was lost";
}

function tokenNeeded(): string {
  return tokenRefused.value === "wrong" ? "The service refused the token" : "The service asks for a token";
}

/** Follows a job again after its connection was lost. */
export async function followAgain(): Promise<void> {
  const { value } = run;
  if (value.phase !== "failed" || value.job === undefined) return;
  controller = new AbortController();
  run.value = { phase: "live", job: value.job, output: { stdout: "", stderr: "" }, cancelling: false };
  status.value = "Following";
  try {
    await follow(value.job.job_id);
  } catch (failure) {
    fail(failure);
  }
}

/** Cancels the run. While the request is under way, the job is cancelled once its id is known; a second call stops the
 * request itself. */
export async function cancel(): Promise<void> {
  const { value } = run;
  if (value.phase !== "sending" && value.phase !== "live") return;
  if (value.phase === "sending" && value.cancelling) {
    controller.abort();
    return;
  }
  run.value = { ...value, cancelling: true };
  status.value = "Cancelling";
  if (value.phase === "live") await cancelJob(value.job.job_id);
}

async function cancelJob(id: string): Promise<void> {
  try {
    await send(jobPath(id), { method: "DELETE", signal: controller.signal });
  } catch (failure) {
    // A job that has ended meanwhile needs no cancelling: its end is on the way.
    const ended = failure instanceof ApiError && failure.status === 409;
    if (ended || controller.signal.aborted || run.value.phase !== "live") return;
    run.value = { ...run.value, cancelling: false };
    status.value = `Not cancelled: ${failure instanceof Error ? failure.message : String(failure)}`;
  }
}

/** Ends the requests of the page when it is left. The job goes on. */
export function stop(): void {
  controller.abort();
}

/** Runs again what was refused for its token, once there is another one. */
export function retryWithToken(): void {
  const { value } = run;
  const waits = value.phase === "failed" && value.error.status === 401;
  if (!waits || token.value === "" || tokenRefused.value !== "") return;
  if (value.job === undefined) void start();
  else void followAgain();
}
