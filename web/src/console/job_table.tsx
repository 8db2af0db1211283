import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { hasEnded, type JobSummary } from "../shared/api";
import { Data } from "../shared/data";
import { counted, duration } from "../shared/format";
import { List } from "./list";
import { jobLink } from "./route";
import { type Steady, type SteadyRow, steady } from "./steady";
import { type Column, Table } from "./table";
import { Age, Time } from "./time";

type Row = SteadyRow<JobSummary>;

/** What a list of jobs can show beside the job's id. */
export type JobColumn =
  | "status"
  | "tenant"
  | "environment"
  | "labels"
  | "accepted"
  | "waits"
  | "waited"
  | "runs"
  | "ran";

const columns: Record<JobColumn, Column<Row>> = {
  status: { name: "Status", cell: ({ row }) => <Status job={row} /> },
  tenant: { name: "Tenant", cell: ({ row }) => <Data text={row.tenant ?? "operator"} /> },
  environment: { name: "Environment", cell: ({ row }) => <Data text={row.environment ?? "default"} /> },
  labels: { name: "Labels", kind: "wide", cell: ({ row }) => <Labels labels={row.labels} /> },
  accepted: { name: "Accepted", cell: ({ row }) => <Time at={row.created_at} /> },
  waits: {
    name: "Waits for",
    kind: "number",
    cell: ({ row, gone }) => (gone ? "over" : <Age at={row.created_at} />),
  },
  waited: {
    name: "Waited",
    kind: "number",
    cell: ({ row }) => <Waited job={row} />,
  },
  runs: {
    name: "Runs for",
    kind: "number",
    cell: ({ row, gone }) => (gone ? "over" : <Age at={row.started_at} />),
  },
  ran: { name: "Ran", kind: "number", cell: ({ row }) => <Ran job={row} /> },
};

/** Shows the id of a job, which leads to the job. Where there is little room, only its end is seen, which differs most. */
export function JobLink({ id }: { id: string }) {
  return (
    <a href={jobLink(id)} class="mono id" title={id}>
      <span class="head">{id.slice(0, -12)}</span>
      {id.slice(-12)}
    </a>
  );
}

/** Shows the status of a job, and the code of its failure. */
export function Status({ job }: { job: Pick<JobSummary, "status" | "code"> }) {
  return (
    <span class={`state ${job.status}`}>
      {job.status}
      {job.code !== undefined && job.code !== job.status ? (
        <>
          {" "}
          <code>
            <Data text={job.code} />
          </code>
        </>
      ) : null}
    </span>
  );
}

/** Shows labels; the text of none is empty. */
function Labels({ labels }: { labels: JobSummary["labels"] }) {
  return (
    <>
      {Object.entries(labels ?? {}).map(([key, value]) => (
        <span key={key} class="label">
          <Data text={`${key}:${value}`} />
        </span>
      ))}
    </>
  );
}

/** Shows the time between two times. */
export function Span({ from, to }: { from: string | null; to: string | null }) {
  if (!from || !to) return <span class="quiet">–</span>;
  return <>{duration(Date.parse(to) - Date.parse(from))}</>;
}

/** Shows how long a job has waited, or has been waiting. */
function Waited({ job }: { job: JobSummary }) {
  if (job.status === "queued") return <Age at={job.created_at} />;
  return <Span from={job.created_at} to={job.started_at} />;
}

function Ran({ job }: { job: JobSummary }) {
  if (job.status === "running") return <Age at={job.started_at} />;
  return <Span from={job.started_at} to={hasEnded(job) ? job.finished_at : null} />;
}

interface JobTableProps {
  label: string;
  jobs: readonly JobSummary[];
  shown: readonly JobColumn[];
  /** What the list is about: with another one it starts anew. */
  about: string;
  /** Shown in place of an empty table. */
  empty: ComponentChildren;
}

/** Shows a list of jobs in a region that scrolls. While a pointer or the focus is in it, or it is scrolled, rows stay
 * where they are. */
export function JobTable({ label, jobs, shown, about, empty }: JobTableProps) {
  const { isHeld, events } = useHold();
  const region = useRef<HTMLElement>(null);
  const [isAsked, setAsked] = useState(false);
  const memory = useRef<{ about: string; steady: Steady<JobSummary> }>({
    about,
    steady: { rows: [], held: 0 },
  });
  const before = memory.current.about === about ? memory.current.steady : { rows: [], held: 0 };
  const after = steady(before, jobs, (job) => job.job_id, isHeld && !isAsked);
  memory.current = { about, steady: after };
  useEffect(() => {
    if (!isAsked) return;
    setAsked(false); // the list is held again, as it is now
    region.current?.focus();
    region.current?.scrollTo(0, 0);
  }, [isAsked]);
  const wanted: Column<Row>[] = [
    { name: "Job", cell: ({ row }) => <JobLink id={row.job_id} /> },
    ...shown.map((name) => columns[name]),
  ];
  return (
    <List label={label} region={region} events={events}>
      {after.rows.length === 0 ? (
        <p class="empty">{empty}</p>
      ) : (
        <Table
          label={label}
          columns={wanted}
          rows={after.rows}
          keyOf={({ row }) => row.job_id}
          classOf={({ gone }) => (gone ? "gone" : undefined)}
        />
      )}
      {after.held > 0 ? (
        <p class="note held">
          <button type="button" onClick={() => setAsked(true)}>
            Show {counted(after.held, "new job")}
          </button>
        </p>
      ) : null}
    </List>
  );
}

/** Returns whether the user is in an element, and the handlers that notice it. */
function useHold() {
  const [reasons, setReasons] = useState({ pointer: false, focus: false, scrolled: false });
  const set = (change: Partial<typeof reasons>) => setReasons((before) => ({ ...before, ...change }));
  const events = {
    onPointerEnter: (event: PointerEvent) => event.pointerType === "mouse" && set({ pointer: true }),
    onPointerLeave: () => set({ pointer: false }),
    onFocusIn: () => set({ focus: true }),
    onFocusOut: () => set({ focus: false }),
    onScroll: (event: Event) => {
      const scrolled = event.currentTarget instanceof Element && event.currentTarget.scrollTop > 0;
      if (scrolled !== reasons.scrolled) set({ scrolled });
    },
  };
  return { isHeld: reasons.pointer || reasons.focus || reasons.scrolled, events };
}
