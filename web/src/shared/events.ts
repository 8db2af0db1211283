// The events of a job (GET /jobs/{id}/events) by fetch: EventSource cannot send the header Authorization.
import { EventSourceParserStream } from "eventsource-parser/stream";
import { ApiError, isAbort, type Job, jobPath, type Schemas, send } from "./api";
import { parseResponse } from "./job_source";

export type JobEvent =
  | { type: "state"; state: Schemas["StateEvent"] }
  | { type: "stdout" | "stderr"; text: string }
  | { type: "end"; job: Job };

/** How long lost connections are replaced, in milliseconds, while no event comes and none of them lasts. */
const patience = 60_000;
const pause = 1_000;
/** A connection that lasted so long was a good one, also if the script printed nothing. */
const lasting = 5_000;

/** Returns the events of a job until its end, which is the last one. A lost connection is resumed where it ended.
 * Throws an ApiError if the job is unknown or the service stays away for a minute, and an AbortError on abort. */
export async function* watch(id: string, signal: AbortSignal): AsyncGenerator<JobEvent> {
  let last = "";
  let quietSince = Date.now();
  for (;;) {
    let wait = pause;
    let opened: number | undefined;
    try {
      const headers: Record<string, string> = last === "" ? {} : { "Last-Event-ID": last };
      const response = await send(`${jobPath(id)}/events`, { headers, signal });
      opened = Date.now();
      if (response.status === 204 || response.body === null) return;
      for await (const message of messagesOf(response.body)) {
        quietSince = Date.now();
        if (message.id !== undefined) last = message.id;
        const event = eventOf(message.event ?? "", message.data);
        if (event !== undefined) yield event;
        if (event?.type === "end") return;
      }
    } catch (failure) {
      if (signal.aborted || !isTransient(failure)) throw failure;
      if (opened !== undefined && Date.now() - opened > lasting) quietSince = Date.now();
      if (Date.now() - quietSince > patience) throw lost(failure);
      if (failure instanceof ApiError) wait = pauseAfter(failure);
    }
    await sleep(wait, signal);
  }
}

async function* messagesOf(body: ReadableStream<Uint8Array>) {
  const reader = body
    .pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>)
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // the connection may be gone already
  }
}

function eventOf(type: string, data: string): JobEvent | undefined {
  switch (type) {
    case "state":
      return { type, state: JSON.parse(data) as Schemas["StateEvent"] };
    case "stdout":
    case "stderr":
      return { type, text: (JSON.parse(data) as Schemas["OutputEvent"]).text };
    case "end":
      return { type, job: parseResponse<Job>(data) };
    default:
      return undefined; // of a later version
  }
}

/** Reports whether another attempt may succeed: the connection was lost, or the service is away or busy. */
function isTransient(failure: unknown): boolean {
  if (failure instanceof ApiError)
    return failure.status === 0 || failure.status === 429 || failure.status >= 500;
  return !isAbort(failure);
}

/** Returns the pause that the service asks for, within bounds. */
function pauseAfter({ retryAfter = 0 }: ApiError): number {
  return Math.min(Math.max(pause, retryAfter * 1_000), patience);
}

/** Returns a failure as an ApiError. */
function lost(failure: unknown): ApiError {
  if (failure instanceof ApiError) return failure;
  return new ApiError(0, "network", "The connection to the service breaks off again and again.");
}

/** Resolves after some milliseconds; rejects with the reason of the signal when that is aborted. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal.addEventListener("abort", abort, { once: true });
  });
}
