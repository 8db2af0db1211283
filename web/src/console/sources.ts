// What the console reads, and how often.
import { type Job, type JobSummary, jobPath, request, type Schemas } from "../shared/api";
import { noteServiceTime } from "./clock";
import { type Filters, parseRoute } from "./route";
import type { Source } from "./use_poll";

const often = 2_000;
const seldom = 5_000;

export const activity: Source<Schemas["Activity"]> = {
  load: async (_, signal) => {
    const response = await request<Schemas["Activity"]>("/activity", { signal });
    noteServiceTime(response.at);
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

/** The jobs with a status, which is the argument: all of them, or the newest that a few requests find. */
export const jobsWithStatus: Source<Found> = {
  load: (status, signal) => find({ status }, largestPage, 3, signal),
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
  every: (read) => {
    if (!hasEnded(read)) return seldom;
    return isBeingDelivered(read) ? 2 * seldom : undefined;
  },
};

export function hasEnded(read: Pick<Job, "status">): boolean {
  return read.status !== "queued" && read.status !== "running";
}

function isBeingDelivered({ callback }: Job): boolean {
  return callback?.status === "waiting" || callback?.status === "pending";
}
