import { useEffect, useState } from "preact/hooks";
import type { ApiError, JobSummary, Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { visibleText } from "../shared/text";
import { timeOf } from "./local_time";
import { type Filters, isFiltered, jobsLink, noFilters } from "./route";
import { environments } from "./sources";
import { usePoll } from "./use_poll";

const statuses: readonly JobSummary["status"][] = ["queued", "running", "succeeded", "failed", "cancelled"];

/** The codes that jobs end with; the contract has them at the parameter code of GET /jobs. */
const codes: readonly Schemas["ErrorCode"][] = [
  "args_mismatch",
  "cancelled",
  "cpu_limit",
  "exception",
  "exit",
  "files_too_large",
  "input_too_large",
  "internal",
  "killed",
  "memory_limit",
  "missing_main",
  "not_serializable",
  "not_started",
  "process_limit",
  "result_too_large",
  "syntax_error",
  "timeout",
  "unavailable",
  "worker_lost",
];

const presets = [
  { name: "15 min", since: "15m" },
  { name: "1 h", since: "1h" },
  { name: "24 h", since: "24h" },
  { name: "any time", since: "" },
];

/** The filters as they are typed. */
type Draft = Omit<Filters, "labels" | "cursor"> & { label: string };

function draftOf({ labels, cursor: _, ...texts }: Filters): Draft {
  return { ...texts, label: labels.join(" ") };
}

function filtersOf({ label, ...texts }: Draft): Filters {
  const trimmed = Object.entries(texts).map(([name, value]) => [name, value.trim()]);
  return {
    ...noFilters,
    ...(Object.fromEntries(trimmed) as Omit<Draft, "label">),
    since: timeOf(texts.since, new Date()),
    until: timeOf(texts.until, new Date()),
    // With "=" as on the command line and in the playground, too: neither a key nor a value may have it.
    labels: label.split(/[\s,]+/).flatMap((each) => (each === "" ? [] : each.replace("=", ":"))),
  };
}

interface FilterFormProps {
  filters: Filters;
  isAdmin: boolean;
  /** What the service found wrong with the filters. */
  error: ApiError | undefined;
}

/** The form for the filters of the list of jobs. */
export function FilterForm({ filters, isAdmin, error }: FilterFormProps) {
  const [draft, setDraft] = useState(draftOf(filters));
  useEffect(() => setDraft(draftOf(filters)), [filters]);
  const apply = (wanted: Draft) => {
    location.hash = jobsLink(filtersOf(wanted));
  };
  const field = (name: keyof Draft) => ({
    id: `filter-${name}`,
    value: draft[name],
    onInput: (event: Event) => setDraft({ ...draft, [name]: inputOf(event) }),
  });
  // A choice applies at once; what is typed does with Enter.
  const choice = (name: "status" | "code") => ({
    ...field(name),
    onInput: (event: Event) => apply({ ...draft, [name]: inputOf(event) }),
  });
  const submit = (event: Event) => {
    event.preventDefault();
    apply(draft);
  };
  return (
    <form class="filters" aria-label="Filters" onSubmit={submit}>
      <Choice label="Status" all={statuses} {...choice("status")} />
      <Choice label="Code" all={codes} {...choice("code")} />
      <EnvironmentField {...field("environment")} />
      {isAdmin ? <Field label="Tenant" {...field("tenant")} /> : null}
      <Field label="Labels" placeholder="customer:42" {...field("label")} />
      <Field label="Since" placeholder="1h, or 09:30" {...field("since")} />
      <Field label="Until" placeholder="30m, or 10:15" {...field("until")} />
      <fieldset class="presets">
        <legend>Accepted in the last</legend>
        {presets.map(({ name, since }) => (
          <button
            key={name}
            type="button"
            aria-pressed={filters.since === since && filters.until === ""}
            onClick={() => apply({ ...draft, since, until: "" })}
          >
            {name}
          </button>
        ))}
      </fieldset>
      <div class="actions">
        <button type="submit" class="primary">
          Find
        </button>
        {isFiltered(filters) ? <a href="#jobs">Clear the filters</a> : null}
      </div>
      {error === undefined ? null : (
        <p class="error" role="alert">
          <Data text={error.message} />
        </p>
      )}
    </form>
  );
}

function inputOf(event: Event): string {
  return (event.currentTarget as HTMLInputElement | HTMLSelectElement).value;
}

interface FieldProps {
  label: string;
  id: string;
  value: string;
  onInput: (event: Event) => void;
  placeholder?: string;
  list?: string;
}

function Field({ label, ...rest }: FieldProps) {
  return (
    <div class="field">
      <label for={rest.id}>{label}</label>
      <input type="text" autocomplete="off" autocapitalize="off" spellcheck={false} {...rest} />
    </div>
  );
}

function EnvironmentField(props: Omit<FieldProps, "label">) {
  const { data } = usePoll(environments);
  return (
    <>
      <Field label="Environment" list="environment-names" {...props} />
      <datalist id="environment-names">
        {data?.environments.map(({ name }) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </>
  );
}

interface ChoiceProps extends FieldProps {
  all: readonly string[];
}

function Choice({ label, all, id, value, onInput }: ChoiceProps) {
  // A linked view may have a value of a later version, which the service judges.
  const options = value === "" || all.includes(value) ? all : [...all, value];
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onInput={onInput}>
        <option value="">any</option>
        {options.map((each) => (
          <option key={each} value={each}>
            {visibleText(each)}
          </option>
        ))}
      </select>
    </div>
  );
}
