import type { Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { count } from "../shared/format";
import { Freshness } from "./freshness";
import { List } from "./list";
import { environments } from "./sources";
import { type Column, Table } from "./table";
import { usePoll } from "./use_poll";

type Environment = Schemas["Environment"];

const columns: Column<Environment>[] = [
  { name: "Environment", cell: ({ name }) => <Data text={name} /> },
  { name: "Workers", kind: "number", cell: ({ workers }) => <WorkerCount workers={workers} /> },
  { name: "Python", cell: ({ python }) => <Data text={python} /> },
  {
    name: "Builds",
    kind: "number",
    cell: ({ hashes }) => (hashes.length > 1 ? `${hashes.length}, mixed` : hashes.length),
  },
  { name: "Packages", kind: "number", cell: ({ packages }) => count(packages.length) },
  { name: "Description", kind: "wide", cell: ({ description }) => <Data text={description} /> },
];

function WorkerCount({ workers }: { workers: number }) {
  return workers === 0 ? <strong class="warn">none: jobs wait</strong> : <span>{count(workers)}</span>;
}

/** Shows the environments and how many workers have them; with onlyMissing those that no worker has, or nothing. */
export function Environments({ onlyMissing }: { onlyMissing: boolean }) {
  const reading = usePoll(environments);
  const all = reading.data?.environments ?? [];
  const rows = onlyMissing ? all.filter(({ workers }) => workers === 0) : all;
  if (onlyMissing && rows.length === 0) return null;
  return (
    <section class="panel" aria-labelledby="environments">
      <div class="heading">
        <h2 id="environments">{onlyMissing ? "Environments without a worker" : "Environments"}</h2>
        <Freshness reading={reading} />
      </div>
      <List label="Environments">
        <Table label="Environments" columns={columns} rows={rows} keyOf={({ name }) => name} />
      </List>
    </section>
  );
}
