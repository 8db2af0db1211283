// What the console shows is in the URL's fragment, which a browser never sends: a view can be linked, and the token is
// not part of it.
import { signal } from "@preact/signals";

/** The filters of GET /jobs, as they are in the fragment. */
export interface Filters {
  status: string;
  code: string;
  environment: string;
  tenant: string;
  labels: readonly string[];
  since: string;
  until: string;
  /** The cursor of the page; empty for the first one. */
  cursor: string;
}

export type Route = { view: "overview" } | { view: "jobs"; filters: Filters } | { view: "job"; id: string };

export const noFilters: Filters = {
  status: "",
  code: "",
  environment: "",
  tenant: "",
  labels: [],
  since: "",
  until: "",
  cursor: "",
};

const texts = ["status", "code", "environment", "tenant", "since", "until", "cursor"] as const;

/** Returns the route of a fragment, such as "#jobs&code=timeout&since=1h" or "#job=ID". */
export function parseRoute(fragment: string): Route {
  const values = new URLSearchParams(fragment.replace(/^#/, ""));
  const id = values.get("job");
  if (id) return { view: "job", id };
  if (!values.has("jobs")) return { view: "overview" };
  const filters = { ...noFilters, labels: values.getAll("label").filter((label) => label !== "") };
  for (const name of texts) filters[name] = values.get(name) ?? "";
  return { view: "jobs", filters };
}

/** Returns the fragment of a list of jobs. */
export function jobsLink(wanted: Partial<Filters> = {}): string {
  const values = new URLSearchParams();
  for (const name of texts) {
    const value = wanted[name];
    if (value) values.set(name, value);
  }
  for (const label of wanted.labels ?? []) values.append("label", label);
  const text = values.toString();
  return text === "" ? "#jobs" : `#jobs&${text}`;
}

/** Returns the fragment of a job. */
export function jobLink(id: string): string {
  return `#job=${encodeURIComponent(id)}`;
}

/** Reports whether a list is filtered. */
export function isFiltered(filters: Filters): boolean {
  return jobsLink({ ...filters, cursor: "" }) !== "#jobs";
}

/** The route of this page. */
export const route = signal<Route>({ view: "overview" });

/** The fragment of the last overview or list, to which a job leads back. */
export const lastList = signal("#overview");

/** Keeps the route up to date with the fragment from now on. */
export function followFragment(): void {
  const read = () => {
    route.value = parseRoute(location.hash);
    if (route.value.view !== "job") lastList.value = location.hash || "#overview";
  };
  addEventListener("hashchange", read);
  read();
}
