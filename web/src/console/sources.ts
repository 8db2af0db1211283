// What the console reads, and how often.
import {
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
    if (newest.next === null) return newest;
    // So many jobs wait that the list of the newest has none of those that run, or of those that have waited for long.
    // Both were accepted before, or not long after, the oldest that waits.
    const until = `${Math.max(1, Math.floor((latest?.oldest_wait_seconds ?? 1) * 0.99))}s`;
    const oldest = await find({ status, until }, largestPage, 2, signal);
    const requests = newest.requests + oldest.requests;
    if (status === "queued")
      return oldest.jobs.length > 0 ? { ...oldest, next: newest.next, requests } : newest;
    const known = new Set(newest.jobs.map(({ job_id }) => job_id));
    const jobs = [...newest.jobs, ...oldest.jobs.filter(({ job_id }) => !known.has(job_id))];
    return { jobs, next: newest.next, requests };
  },
  every: ({ requests }) => seldom * requests,
};

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
  most: number,
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
  } while (found.next !== null && found.jobs.length < limit && found.requests < most);
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

export function hasEnded({ status }: Pick<Job, "status">): boolean {
  return status !== "queued" && status !== "running";
}

function isBeingDelivered({ callback }: Job): boolean {
  return callback?.status === "waiting" || callback?.status === "pending";
}
