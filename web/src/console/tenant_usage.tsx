import type { Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { bytes, count, duration } from "../shared/format";
import { Freshness } from "./freshness";
import { List } from "./list";
import { percent, split } from "./outcomes";
import { jobsLink } from "./route";
import { usage } from "./sources";
import { type Column, Table } from "./table";
import { usePoll } from "./use_poll";

/** What a tenant has used in a number of days. */
export interface Sum {
  tenant: string;
  jobs: number;
  other: number;
  cpuSeconds: number;
  wallSeconds: number;
  bytesOut: number;
}

const columns: Column<Sum>[] = [
  { name: "Tenant", kind: "wide", cell: ({ tenant }) => <TenantLink tenant={tenant} /> },
  { name: "Jobs", kind: "number", cell: ({ jobs }) => count(jobs) },
  { name: "Not ok", kind: "number", cell: ({ jobs, other }) => percent(other, jobs) },
  { name: "CPU time", kind: "number", cell: ({ cpuSeconds }) => duration(1_000 * cpuSeconds) },
  { name: "Run time", kind: "number", cell: ({ wallSeconds }) => duration(1_000 * wallSeconds) },
  { name: "Output", kind: "number", cell: ({ bytesOut }) => bytes(bytesOut) },
];

function TenantLink({ tenant }: { tenant: string }) {
  return (
    <a href={jobsLink({ tenant })}>
      <Data text={tenant} />
    </a>
  );
}

/** Shows what tenants have used in the last seven days; nothing if they used nothing. */
export function TenantUsage() {
  const reading = usePoll(usage);
  const rows = sumByTenant(reading.data?.usage ?? []);
  if (rows.length === 0 && reading.error === undefined) return null;
  return (
    <section class="panel" aria-labelledby="usage">
      <div class="heading">
        <h2 id="usage">Used in the last seven days</h2>
        <Freshness reading={reading} />
      </div>
      <List label="Usage">
        <Table label="Usage" columns={columns} rows={rows} keyOf={({ tenant }) => tenant} />
      </List>
    </section>
  );
}

/** Returns the sums of the days by tenant, those with the most CPU time first. */
export function sumByTenant(days: readonly Schemas["DayUsage"][]): Sum[] {
  const sums = new Map<string, Sum>();
  for (const day of days) {
    const before = sums.get(day.tenant) ?? {
      tenant: day.tenant,
      jobs: 0,
      other: 0,
      cpuSeconds: 0,
      wallSeconds: 0,
      bytesOut: 0,
    };
    const { ok, other } = split(day.jobs);
    sums.set(day.tenant, {
      tenant: day.tenant,
      jobs: before.jobs + ok + other,
      other: before.other + other,
      cpuSeconds: before.cpuSeconds + day.cpu_seconds,
      wallSeconds: before.wallSeconds + day.wall_seconds,
      bytesOut: before.bytesOut + day.bytes_out,
    });
  }
  return [...sums.values()].sort((a, b) => b.cpuSeconds - a.cpuSeconds || a.tenant.localeCompare(b.tenant));
}
