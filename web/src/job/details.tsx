import type { ComponentChildren } from "preact";
import type { Job, Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { count, localTime } from "../shared/format";
import { CopyButton } from "./copy_button";

/** Shows what a job is: its id, times, where it belongs if place is set, and the delivery of its webhook. */
export function Details({ job, place }: { job: Job; place: boolean }) {
  return (
    <div class="details">
      <div class="head">
        <h2>Job</h2>
        <CopyButton label="Copy id" text={() => job.job_id} />
      </div>
      <dl class="facts">
        <Fact name="id" mono>
          <Data text={job.job_id} />
        </Fact>
        {place && <Place job={job} />}
        <Fact name="entry">{job.entry ?? "main"}</Fact>
        <Fact name="started">
          <Time time={job.started_at} />
        </Fact>
        <Fact name="ended">
          <Time time={job.finished_at} />
        </Fact>
        {job.exit_code !== undefined && <Fact name="exit code">{job.exit_code}</Fact>}
      </dl>
      {job.callback !== undefined && <Webhook callback={job.callback} />}
    </div>
  );
}

function Place({ job }: { job: Job }) {
  const labels = Object.entries(job.labels ?? {});
  return (
    <>
      {job.tenant !== undefined && (
        <Fact name="tenant">
          <Data text={job.tenant} />
        </Fact>
      )}
      <Fact name="environment">
        <Data text={job.environment ?? "default"} />
      </Fact>
      {labels.length > 0 && (
        <Fact name="labels">
          <Labels labels={labels} />
        </Fact>
      )}
      <Fact name="accepted">
        <Time time={job.created_at} />
      </Fact>
    </>
  );
}

function Fact({
  name,
  mono = false,
  children,
}: {
  name: string;
  mono?: boolean;
  children: ComponentChildren;
}) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={mono ? "mono" : ""}>{children}</dd>
    </div>
  );
}

function Labels({ labels }: { labels: [string, string][] }) {
  return (
    <ul class="plain-list labels">
      {labels.map(([key, value]) => (
        <li key={key} class="mono">
          <Data text={value === "" ? key : `${key}:${value}`} />
        </li>
      ))}
    </ul>
  );
}

function Time({ time }: { time: string | null }) {
  if (time === null) return <span class="quiet">not yet</span>;
  return (
    <time dateTime={time} title={time}>
      {localTime(time)}
    </time>
  );
}

/** What the states of a webhook's delivery mean. */
export const deliveries: Record<Schemas["Callback"]["status"], string> = {
  waiting: "waits for the job's end",
  pending: "will be sent, or sent again",
  delivered: "delivered",
  failed: "failed permanently",
};

/** The delivery of a job's webhook. */
function Webhook({ callback }: { callback: Schemas["Callback"] }) {
  return (
    <>
      <div class="head">
        <h2>Webhook</h2>
        <span class={callback.status === "failed" ? "cut" : "quiet"}>{deliveries[callback.status]}</span>
      </div>
      <dl class="facts">
        <Fact name="URL" mono>
          <Data text={callback.url} />
        </Fact>
        <Fact name="attempts">{count(callback.attempts)}</Fact>
        {callback.last_attempt_at !== null && (
          <Fact name="last attempt">
            <Time time={callback.last_attempt_at} />
          </Fact>
        )}
        {callback.next_attempt_at !== null && (
          <Fact name="next attempt">
            <Time time={callback.next_attempt_at} />
          </Fact>
        )}
        {callback.response_status !== null && <Fact name="response">{callback.response_status}</Fact>}
        {callback.error !== null && (
          <Fact name="error" mono>
            <Data text={callback.error} />
          </Fact>
        )}
      </dl>
    </>
  );
}
