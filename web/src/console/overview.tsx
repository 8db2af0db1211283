import type { Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { count, counted, duration } from "../shared/format";
import { Chart } from "./chart";
import { Environments } from "./environments";
import { Freshness } from "./freshness";
import { type JobColumn, JobTable } from "./job_table";
import { List } from "./list";
import { type OutcomeCount, percent, sorted, split, total } from "./outcomes";
import { Refusal } from "./refusal";
import { jobsLink } from "./route";
import { activity, jobsWithStatus, workers } from "./sources";
import { TenantUsage } from "./tenant_usage";
import { type Reading, usePoll } from "./use_poll";
import { Workers } from "./workers";

type Activity = Schemas["Activity"];

/** Shows what the service does now. */
export function Overview({ isAdmin }: { isAdmin: boolean }) {
  const reading = usePoll(activity);
  const { data, error, nextAt } = reading;
  if (data === undefined && error !== undefined && nextAt === undefined) return <Refusal error={error} />;
  return (
    <>
      <div class="heading">
        <h1 tabIndex={-1}>Overview</h1>
        <p class="quiet">{isAdmin ? "of all tenants" : "of the tenant of this key"}</p>
        <Freshness reading={reading} />
      </div>
      {data === undefined ? null : isAdmin ? <ForAdmin data={data} /> : <ForTenant data={data} />}
    </>
  );
}

function ForAdmin({ data }: { data: Activity }) {
  const reading = usePoll(workers);
  const list = reading.data?.workers;
  return (
    <>
      <Tiles data={data} workers={list} />
      <Now data={data} isAdmin={true} />
      <Workers reading={reading} />
      <Environments onlyMissing={true} />
      <TenantUsage />
    </>
  );
}

function ForTenant({ data }: { data: Activity }) {
  return (
    <>
      <Tiles data={data} workers={undefined} />
      <Now data={data} isAdmin={false} />
      <Environments onlyMissing={false} />
      <TenantUsage />
    </>
  );
}

function Tiles({ data, workers }: { data: Activity; workers: readonly Schemas["Worker"][] | undefined }) {
  const wait = data.oldest_wait_seconds;
  const { ok, other } = split(data.totals);
  const places = sumOf(workers?.map((worker) => worker.places));
  const ready = sumOf(workers?.flatMap((worker) => worker.environments.map((each) => each.ready)));
  return (
    <dl class="tiles">
      <Tile name="Waiting" value={count(data.queued)} />
      <Tile name="Oldest wait" value={wait === null ? "–" : duration(1_000 * wait)} />
      <Tile
        name="Running"
        value={count(data.running)}
        note={places === undefined ? "" : `of ${counted(places, "place")}`}
      />
      {workers === undefined ? null : (
        <Tile name="Ready sandboxes" value={ready === undefined ? "–" : count(ready)} />
      )}
      <Tile
        name="Ended in the last hour"
        value={count(ok + other)}
        note={ok + other === 0 ? "" : `${percent(other, ok + other)} not ok`}
      />
    </dl>
  );
}

/** Returns the sum of what workers report; undefined if none of them does. */
function sumOf(values: readonly (number | null)[] | undefined): number | undefined {
  const known = values?.filter((value) => value !== null) ?? [];
  return known.length === 0 ? undefined : known.reduce((sum, value) => sum + value, 0);
}

function Tile({ name, value, note = "" }: { name: string; value: string; note?: string }) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>
        <span class="value">{value}</span> <span class="quiet">{note}</span>
      </dd>
    </div>
  );
}

function Now({ data, isAdmin }: { data: Activity; isAdmin: boolean }) {
  return (
    <div class="panels">
      <section class="panel" aria-labelledby="minutes">
        <div class="heading">
          <h2 id="minutes">Jobs per minute</h2>
        </div>
        <Chart minutes={data.minutes} />
      </section>
      <OutcomeList data={data} />
      <Jobs status="running" isAdmin={isAdmin} known={data.running} />
      <Jobs status="queued" isAdmin={isAdmin} known={data.queued} />
    </div>
  );
}

function OutcomeList({ data }: { data: Activity }) {
  const all = total(data.totals);
  const outcomes = sorted(data.totals);
  return (
    <section class="panel" aria-labelledby="outcomes">
      <div class="heading">
        <h2 id="outcomes">Outcomes of the last hour</h2>
      </div>
      <List label="Outcomes of the last hour">
        {outcomes.length === 0 ? (
          <p class="empty">No job has ended.</p>
        ) : (
          <ul class="outcomes">
            {outcomes.map((each) => (
              <Outcome key={each.outcome} each={each} all={all} />
            ))}
          </ul>
        )}
      </List>
    </section>
  );
}

function Outcome({ each, all }: { each: OutcomeCount; all: number }) {
  const filter = each.outcome === "ok" ? { status: "succeeded" } : { code: each.outcome };
  return (
    <li class={each.outcome === "ok" ? "ok" : "other"}>
      <a href={jobsLink({ ...filter, since: "1h" })}>
        <Data text={each.outcome} />
      </a>
      <svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        <rect width={(100 * each.jobs) / all} height="1" />
      </svg>
      <span class="number">{count(each.jobs)}</span>{" "}
      <span class="number quiet">{percent(each.jobs, all)}</span>
    </li>
  );
}

const about = {
  running: { title: "Running", empty: "No job is running.", age: "runs" },
  queued: { title: "Waiting", empty: "No job is waiting.", age: "waits" },
} as const;

/** Shows the jobs that run or wait, the oldest first if all of them are known. */
function Jobs({ status, isAdmin, known }: { status: "running" | "queued"; isAdmin: boolean; known: number }) {
  const reading = usePoll(jobsWithStatus, status);
  const { title, empty, age } = about[status];
  const tenant: JobColumn[] = isAdmin ? ["tenant"] : [];
  const found = reading.data;
  const jobs = (found?.jobs ?? [])
    .toReversed()
    .toSorted((a, b) => startOf(a, status).localeCompare(startOf(b, status)));
  return (
    <section class="panel" aria-labelledby={status}>
      <div class="heading">
        <h2 id={status}>
          <a href={jobsLink({ status })}>{title}</a>
        </h2>
        <p class="quiet">{order(found, known, status)}</p>
        <Freshness reading={reading as Reading<unknown>} />
      </div>
      <JobTable
        label={title}
        about={status}
        jobs={jobs}
        shown={[age, ...tenant, "environment", "labels"]}
        empty={
          found === undefined
            ? ""
            : found.next === null
              ? empty
              : "None among the jobs that the console looked at."
        }
      />
    </section>
  );
}

function startOf(
  job: { created_at: string; started_at: string | null },
  status: "running" | "queued",
): string {
  return status === "running" ? (job.started_at ?? job.created_at) : job.created_at;
}

function order(
  found: { jobs: unknown[]; next: string | null } | undefined,
  known: number,
  status: string,
): string {
  const first = status === "running" ? "longest first" : "oldest first";
  if (found === undefined || found.next === null || found.jobs.length >= known) return first;
  return `${first}, ${count(found.jobs.length)} of ${count(known)}: the API lists the newest first`;
}
