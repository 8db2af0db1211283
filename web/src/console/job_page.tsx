import { useState } from "preact/hooks";
import { deliveries } from "../job/details";
import { JobView, type Output } from "../job/job_view";
import { type ApiError, hasEnded, type Job, type Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { bytes, count, duration } from "../shared/format";
import { Cancel } from "./cancel";
import { Facts } from "./facts";
import { useFollow } from "./follow";
import { Freshness } from "./freshness";
import { Span, Status } from "./job_table";
import { Refusal } from "./refusal";
import { type Filters, jobsLink, lastList } from "./route";
import { job as source } from "./sources";
import { Age, Time } from "./time";
import { usePoll } from "./use_poll";

/** Shows a job: what is known of it, what it printed and left; follows it while it is open. */
export function JobPage({ id, isAdmin }: { id: string; isAdmin: boolean }) {
  const reading = usePoll(source, id);
  const [isOn, setOn] = useState(true);
  const { data, error } = reading;
  const isOpen = data !== undefined && !hasEnded(data);
  const followed = useFollow(id, isOn && isOpen);
  const job = newest(data, followed.ended, followed.status);
  const isDone = job !== undefined && hasEnded(job);
  const isMissing = job === undefined && error?.status === 404;
  if (job === undefined && error?.status === 403) return <Refusal error={error} />;
  const isUpToDate = error === undefined && (job === undefined || isDone);
  return (
    <>
      <Back />
      <div class="heading">
        <h1 tabIndex={-1}>
          Job{" "}
          <span class="mono">
            <Data text={id} />
          </span>
        </h1>
        {job === undefined ? null : <Status job={job} />}
        {isUpToDate || isMissing ? null : <Freshness reading={reading} />}
      </div>
      {job === undefined ? <Missing error={error} /> : <About job={job} isAdmin={isAdmin} />}
      {job === undefined || isDone ? null : (
        <div class="actions">
          <button type="button" onClick={() => setOn(!isOn)}>
            {isOn ? "Stop following" : "Follow live"}
          </button>
          <p class="quiet" role="status">
            {isOn
              ? following(job, followed.error)
              : "New output is shown when you follow the job, or at its end."}
          </p>
          <Cancel id={id} onDone={reading.refresh} />
        </div>
      )}
      {job === undefined ? null : <JobView job={job} output={outputOf(job, followed.output)} place={false} />}
    </>
  );
}

/** Returns what is known last: an end is never taken back by an older response. */
function newest(
  read: Job | undefined,
  ended: Job | undefined,
  status: Job["status"] | undefined,
): Job | undefined {
  if (read === undefined || hasEnded(read)) return read;
  if (ended !== undefined) return ended;
  return status === "running" ? { ...read, status } : read;
}

function outputOf(job: Job, live: Output): Output {
  return hasEnded(job) ? { stdout: job.stdout ?? live.stdout, stderr: job.stderr ?? live.stderr } : live;
}

function following(job: Job, error: ApiError | undefined): string {
  if (error !== undefined) return error.message;
  return job.status === "queued" ? "Waits for a worker." : "Output is shown as it comes.";
}

function Back() {
  return (
    <p class="back">
      <a href={lastList.value}>
        {lastList.value.startsWith("#jobs") ? "Back to the list" : "Back to the overview"}
      </a>
    </p>
  );
}

function Missing({ error }: { error: ApiError | undefined }) {
  if (error?.status !== 404) return error === undefined ? <p class="quiet">reading …</p> : null;
  return (
    <div class="refusal" role="alert">
      <p>
        <Data text={error.message} />
      </p>
      <p>A job is kept for some time after its end, and is shown only to keys of its own tenant.</p>
    </div>
  );
}

/** Shows where a job belongs, how long it takes, and what it may use; JobView has the rest. */
function About({ job, isAdmin }: { job: Job; isAdmin: boolean }) {
  const tenant = job.tenant ?? "operator";
  const environment = job.environment ?? "default";
  return (
    <Facts
      facts={[
        ["Tenant", isAdmin ? <FilterLink filters={{ tenant }} text={tenant} /> : null],
        ["Environment", <FilterLink key="environment" filters={{ environment }} text={environment} />],
        ["Labels", job.labels && Object.keys(job.labels).length > 0 && <LabelLinks labels={job.labels} />],
        ["Accepted", <Time key="accepted" at={job.created_at} />],
        ["Waits for", job.status === "queued" && <Age at={job.created_at} />],
        ["Waited", job.started_at && <Span from={job.created_at} to={job.started_at} />],
        ["Runs for", job.status === "running" && job.started_at && <Age at={job.started_at} />],
        ["Ran", job.finished_at && job.started_at && <Span from={job.started_at} to={job.finished_at} />],
        ["Limits", job.limits && limitsText(job.limits)],
        ["Webhook", job.callback && (deliveries[job.callback.status] ?? job.callback.status)],
      ]}
    />
  );
}

function limitsText(limits: Schemas["JobLimits"]): string {
  return [
    `${duration(1_000 * limits.wall_seconds)} wall`,
    `${duration(1_000 * limits.cpu_seconds)} CPU`,
    `${count(limits.memory_mb)} MiB`,
    `${count(limits.processes)} processes`,
    `${bytes(limits.output_bytes)} output`,
  ].join(" · ");
}

function FilterLink({ filters, text }: { filters: Partial<Filters>; text: string }) {
  return (
    <a href={jobsLink(filters)}>
      <Data text={text} />
    </a>
  );
}

function LabelLinks({ labels }: { labels: NonNullable<Job["labels"]> }) {
  return (
    <>
      {Object.entries(labels).map(([key, value]) => (
        <a key={key} class="label" href={jobsLink({ labels: [`${key}:${value}`] })}>
          <Data text={`${key}:${value}`} />
        </a>
      ))}
    </>
  );
}
