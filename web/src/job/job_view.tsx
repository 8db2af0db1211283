import { useMemo } from "preact/hooks";
import { hasEnded, type Job } from "../shared/api";
import { Data } from "../shared/data";
import { duration } from "../shared/format";
import { exactPart } from "../shared/job_source";
import { Details } from "./details";
import { Displays } from "./displays";
import { Failure } from "./failure";
import { Files } from "./files";
import { Stream } from "./output";
import { Result } from "./result";
import { Usage } from "./usage";

/** What a job printed so far. */
export interface Output {
  stdout: string;
  stderr: string;
}

interface JobViewProps {
  job: Job;
  output: Output;
  /** Whether to show the tenant, environment, labels and acceptance too, unless the page around does. */
  place?: boolean;
}

/** Shows a job: while it runs what it printed, and after its end all that it left. */
export function JobView({ job, output, place = true }: JobViewProps) {
  return (
    <section class="job" aria-label="Job">
      <Status job={job} />
      {/* Another job starts with what is open at first. */}
      <Parts key={job.job_id} job={job} output={output} />
      <Details job={job} place={place} />
    </section>
  );
}

function Parts({ job, output }: { job: Job; output: Output }) {
  return (
    <>
      <Failure job={job} />
      <Streams job={job} output={output} />
      <Displays job={job} />
      <ResultOf job={job} />
      <Files job={job} />
      <Notes notes={job.notes ?? []} />
      <Usage job={job} />
    </>
  );
}

function Status({ job }: { job: Job }) {
  const time = job.usage === undefined ? "" : ` in ${duration(job.usage.run_ms)}`;
  const texts: Record<Job["status"], string> = {
    queued: "Queued",
    running: "Running",
    succeeded: `Succeeded${time}`,
    failed: `Failed${job.started_at === null ? "" : time}`,
    cancelled: "Cancelled",
  };
  return (
    <p class={`status ${job.status}`} role="status">
      <span class="dot" aria-hidden="true" />
      {texts[job.status]}
    </p>
  );
}

function Streams({ job, output }: { job: Job; output: Output }) {
  const live = !hasEnded(job);
  const limit = job.limits?.output_bytes;
  const stdout = job.stdout ?? output.stdout;
  const stderr = job.stderr ?? output.stderr;
  if (stdout === "" && stderr === "" && (job.status === "queued" || job.started_at === null)) return null;
  return (
    <div class="streams">
      {stdout !== "" && (
        <Stream
          name="stdout"
          text={stdout}
          truncated={job.truncated?.stdout ?? false}
          live={live}
          limit={limit}
        />
      )}
      {stderr !== "" && (
        <Stream
          name="stderr"
          text={stderr}
          truncated={job.truncated?.stderr ?? false}
          live={live}
          limit={limit}
        />
      )}
      {stdout === "" && stderr === "" && (
        <p class="quiet">{live ? "Nothing printed so far." : "Nothing was printed."}</p>
      )}
    </div>
  );
}

function ResultOf({ job }: { job: Job }) {
  const value = useMemo(() => exactPart(job, "result"), [job]);
  // A program has no result; a cell's is among its displays, unless it has JSON.
  if (value === undefined || (value === null && job.entry !== undefined)) return null;
  return <Result value={value} />;
}

function Notes({ notes }: { notes: string[] }) {
  if (notes.length === 0) return null;
  return (
    <div class="notes">
      <div class="head">
        <h2>Notes</h2>
      </div>
      <ul>
        {notes.map((note, index) => (
          <li key={index}>
            <Data text={note} />
          </li>
        ))}
      </ul>
    </div>
  );
}
