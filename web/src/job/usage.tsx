import type { Job } from "../shared/api";
import { duration } from "../shared/format";
import { type Used, usedBy } from "./limits";

/** Shows what a job used beside its limits, and how long each of its phases took. */
export function Usage({ job }: { job: Job }) {
  if (job.usage === undefined) return null;
  return (
    <div class="usage">
      <div class="head">
        <h2>Usage</h2>
      </div>
      <dl class="bars">
        {usedBy(job).map((used) => (
          <UsedRow key={used.name} used={used} />
        ))}
      </dl>
      <Phases usage={job.usage} />
    </div>
  );
}

/** A resource: its name, a bar, and what was used of the limit. */
export function UsedRow({ used }: { used: Used }) {
  return (
    <div class="used">
      <dt>{used.name}</dt>
      <dd>
        <Bar share={used.share} />
        <span>
          {used.text}
          {used.limit !== undefined && (
            <span class="quiet">
              {used.text === "" ? "at most" : " of"} {used.limit}
            </span>
          )}
        </span>
      </dd>
    </div>
  );
}

function Bar({ share }: { share: number | undefined }) {
  if (share === undefined) return null;
  const level = share >= 1 ? "full" : share >= 0.8 ? "high" : "";
  return (
    <span class={`meter ${level}`} aria-hidden="true">
      <span style={{ width: `${Math.max(1, share * 100)}%` }} />
    </span>
  );
}

function Phases({ usage }: { usage: NonNullable<Job["usage"]> }) {
  const phases = [
    { name: "queued", ms: usage.queued_ms },
    { name: "prepare", ms: usage.prepare_ms },
    { name: "run", ms: usage.run_ms },
  ];
  return (
    <div class="phases">
      <div class="stack" aria-hidden="true">
        {phases.map(({ name, ms }) => (
          <span key={name} class={name} style={{ flexGrow: ms }} />
        ))}
      </div>
      <ul class="plain-list legend">
        {phases.map(({ name, ms }) => (
          <li key={name}>
            <span class={`swatch ${name}`} aria-hidden="true" />
            {name} <span class="quiet">{duration(ms)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
