// What the console reads, and how often.
import {
  hasEnded,
  type Job,
  type JobSummary,
  jobPath,
  type RequestOptions,
  read,
  type Schemas,
  send,
} from "../shared/api";
import { noteServiceDate, noteServiceTime } from "./clock";
import { type Filters, parseRoute } from "./route";
import type { Source } from "./use_poll";

const often = 2_000;
const seldom = 5_000;

/** Sends a request, notes the time of the service, by which ages are shown, and returns the JSON of the response. */
async function request<T>(path: string, options: RequestOptions): Promise<T> {
  const response = await send(path, options);
  noteServiceDate(response.headers.get("Date"));
  return read<T>(response);
}

/** The last activity that was read: how many jobs there are to find. */
let latest: Schemas["Activity"] | undefined;

export const activity: Source<Schemas["Activity"]> = {
  load: async (_, signal) => {
    const response = await request<Schemas["Activity"]>("/activity", { signal });
    noteServiceTime(response.at);
    latest = response;
    return response;
  },
  every: () => often,
};

export const workers: Source<Schemas["WorkerList"]> = {
  load: (_, signal) => request("/workers", { signal }),
  every: () => seldom,
};

/** The workers, read once: only an administrator may. */
export const access: Source<Schemas["WorkerList"]> = { ...workers, every: () => undefined };

export const environments: Source<Schemas["EnvironmentList"]> = {
  load: (_, signal) => request("/environments", { signal }),
  every: () => seldom,
};

/** What was used in the last seven days. */
export const usage: Source<Schemas["UsageReport"]> = {
  load: (_, signal) => request("/usage", { signal }),
  every: () => 60_000,
};

/** Jobs of a list, newest first. */
export interface Found {
  jobs: JobSummary[];
  /** The cursor of what follows; null after the last job. */
  next: string | null;
  /** How many requests it took: a page that looks at many jobs and finds few is continued. */
  requests: number;
}

/** The largest number of jobs that a response of GET /jobs may have. */
const largestPage = 200;

/** The jobs with a status, which is the argument: all of them, or those that a few requests find. */
export const jobsWithStatus: Source<Found> = {
  load: async (status, signal) => {
    const newest = await find({ status }, largestPage, 2, signal);
    const wait = latest?.oldest_wait_seconds ?? 0;
    if (newest.next === null || latest === undefined || wait === 0) return newest;
    // So many jobs wait that the newest ones are no use: the others are looked for around the oldest that waits.
    const oldest = Date.parse(latest.at) - 1_000 * wait;
    const more = await (status === "queued"
      ? firstOf(status, oldest, wait, signal)
      : find({ status, until: isoTime(oldest + margin) }, largestPage, most, signal));
    const requests = newest.requests + more.requests;
    if (status === "queued")
      return { ...(more.jobs.length > 0 ? more : newest), next: newest.next, requests };
    const known = new Set(newest.jobs.map(({ job_id }) => job_id));
    const jobs = [...newest.jobs, ...more.jobs.filter(({ job_id }) => !known.has(job_id))];
    return { jobs, next: newest.next, requests };
  },
  every: ({ requests }) => seldom * requests,
};

/** How many requests look for jobs of a certain time: the service looks through those of 15 more seconds, too. */
const most = 5;

/** How far the time of the oldest job that waits may be off, in milliseconds. */
const margin = 50;

/** Returns jobs that were accepted first since a time, as many as a page has: those of a part of the seconds since
 * then, which is made smaller until a page holds them. */
async function firstOf(status: string, time: number, seconds: number, signal: AbortSignal): Promise<Found> {
  const since = isoTime(time - margin);
  let found: Found = { jobs: [], next: null, requests: 0 };
  let requests = 0;
  for (const part of [0.3, 0.03, 0.003, 0]) {
    const until = isoTime(time + margin + part * 1_000 * seconds);
    found = await find({ status, since, until }, largestPage, most, signal);
    requests += found.requests;
    if (found.next === null || found.jobs.length < largestPage) break;
  }
  return { ...found, requests };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** How many jobs a page of the list has. */
export const pageSize = 50;

/** The jobs of a list, whose fragment is the argument. */
export const jobList: Source<Found> = {
  load: (fragment, signal) => {
    const wanted = parseRoute(fragment);
    return find(wanted.view === "jobs" ? wanted.filters : {}, pageSize, 5, signal);
  },
  every: ({ requests }) => seldom * requests,
};

async function find(
  filters: Partial<Filters>,
  limit: number,
  maxRequests: number,
  signal: AbortSignal,
): Promise<Found> {
  const { labels, cursor, ...texts } = filters;
  const found: Found = { jobs: [], next: cursor ?? null, requests: 0 };
  do {
    const query = {
      ...texts,
      label: labels,
      cursor: found.next ?? undefined,
      limit: limit - found.jobs.length,
    };
    const page = await request<Schemas["JobList"]>("/jobs", { query, signal });
    found.jobs.push(...page.jobs);
    found.next = page.next_cursor;
    found.requests++;
  } while (found.next !== null && found.jobs.length < limit && found.requests < maxRequests);
  return found;
}

/** A job, whose id is the argument, until nothing of it can change any more. */
export const job: Source<Job> = {
  load: (id, signal) => request(jobPath(id), { signal }),
  every: (known) => {
    if (!hasEnded(known)) return seldom;
    return isBeingDelivered(known) ? 2 * seldom : undefined;
  },
};

function isBeingDelivered({ callback }: Job): boolean {
  return callback?.status === "waiting" || callback?.status === "pending";
}
