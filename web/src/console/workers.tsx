import type { Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { count, counted } from "../shared/format";
import { Freshness } from "./freshness";
import { List } from "./list";
import { type Column, Table } from "./table";
import { Age, Time } from "./time";
import type { Reading } from "./use_poll";

type Worker = Schemas["Worker"];

const unknown = <span class="quiet">not reported</span>;

const columns: Column<Worker>[] = [
  { name: "Host", cell: ({ host, worker_id }) => <Data text={host || worker_id} /> },
  { name: "Worker", cell: ({ worker_id }) => <Id id={worker_id} /> },
  { name: "State", cell: ({ status }) => <span class={`state ${status}`}>{status}</span> },
  { name: "Busy", kind: "number", cell: (worker) => <Busy worker={worker} /> },
  { name: "Environments, ready sandboxes", kind: "wide", cell: (worker) => <Offered worker={worker} /> },
  { name: "Version", cell: ({ version }) => (version ? <Data text={version} /> : unknown) },
  { name: "Started", cell: ({ started_at }) => (started_at ? <Time at={started_at} /> : unknown) },
  { name: "Last seen", kind: "number", cell: ({ last_seen_at }) => <Age at={last_seen_at} /> },
];

/** Shows the workers. */
export function Workers({ reading }: { reading: Reading<Schemas["WorkerList"]> }) {
  const rows = reading.data?.workers ?? [];
  return (
    <section class="panel" aria-labelledby="workers">
      <div class="heading">
        <h2 id="workers">Workers</h2>
        <Mixed workers={rows} />
        <Freshness reading={reading} />
      </div>
      <List label="Workers">
        {reading.data !== undefined && rows.length === 0 ? (
          <p class="empty warn">No worker: jobs wait.</p>
        ) : (
          <Table label="Workers" columns={columns} rows={rows} keyOf={({ worker_id }) => worker_id} />
        )}
      </List>
    </section>
  );
}

/** Shows the end of a worker's id; its title is the whole. */
function Id({ id }: { id: string }) {
  return (
    <span class="mono short" title={id}>
      <span class="head">{id.slice(0, -8)}</span>
      <Data text={id.slice(-8)} />
    </span>
  );
}

function Busy({ worker: { busy, places } }: { worker: Worker }) {
  if (places === null) return <>{count(busy)} of ?</>;
  return (
    <>
      {count(busy)} of {count(places)}
    </>
  );
}

function Offered({ worker: { environments } }: { worker: Worker }) {
  return (
    <>
      {environments.map(({ name, ready }) => (
        <span key={name} class="label">
          <Data text={name} /> {ready === null ? "" : `${count(ready)} ready`}
        </span>
      ))}
    </>
  );
}

/** Shows when workers differ in what they run. */
function Mixed({ workers }: { workers: readonly Worker[] }) {
  const parts: string[] = [];
  const versions = versionsOf(workers);
  if (versions.length > 1) parts.push(`Mixed versions: ${versions.join(", ")}.`);
  const mixed = mixedEnvironments(workers);
  if (mixed.length > 0) parts.push(`Different builds of ${mixed.join(", ")}.`);
  const draining = workers.filter(({ status }) => status === "draining").length;
  if (draining > 0) parts.push(`${counted(draining, "worker")} draining.`);
  return parts.length === 0 ? null : (
    <p class="warn">
      <Data text={parts.join(" ")} />
    </p>
  );
}

/** Returns the versions of the workers, sorted. */
export function versionsOf(workers: readonly Pick<Worker, "version">[]): string[] {
  return [...new Set(workers.map(({ version }) => version ?? "not reported"))].sort();
}

/** Returns the names of environments of which workers have different builds. */
export function mixedEnvironments(workers: readonly Pick<Worker, "environments">[]): string[] {
  const hashes = new Map<string, Set<string>>();
  for (const { name, hash } of workers.flatMap(({ environments }) => environments)) {
    if (hash) hashes.set(name, (hashes.get(name) ?? new Set()).add(hash));
  }
  return [...hashes].filter(([, builds]) => builds.size > 1).map(([name]) => name);
}
