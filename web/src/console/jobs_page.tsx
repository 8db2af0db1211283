import type { ApiError } from "../shared/api";
import { counted } from "../shared/format";
import { FilterForm } from "./filter_form";
import { Freshness } from "./freshness";
import { type JobColumn, JobTable } from "./job_table";
import { Refusal } from "./refusal";
import { type Filters, isFiltered, jobsLink } from "./route";
import { type Found, jobList } from "./sources";
import { usePoll } from "./use_poll";

/** Shows the jobs that filters choose, newest first, page by page. */
export function JobsPage({ filters, isAdmin }: { filters: Filters; isAdmin: boolean }) {
  const link = jobsLink(filters);
  const reading = usePoll(jobList, link);
  const { data, error } = reading;
  if (error?.status === 403) return <Refusal error={error} />;
  const tenant: JobColumn[] = isAdmin ? ["tenant"] : [];
  const isWrong = error?.status === 400;
  return (
    <>
      <div class="heading">
        <h1 tabIndex={-1}>Jobs</h1>
        <p class="quiet">newest first{filters.cursor === "" ? "" : ", a later page"}</p>
        {isWrong ? null : <Freshness reading={reading} />}
      </div>
      <FilterForm filters={filters} isAdmin={isAdmin} error={isWrong ? error : undefined} />
      {isWrong ? null : (
        <section class="panel found" aria-label="Found">
          <JobTable
            label="Jobs"
            about={link}
            jobs={data?.jobs ?? []}
            shown={["status", ...tenant, "environment", "labels", "accepted", "waited", "ran"]}
            empty={<Empty found={data} filters={filters} error={error} />}
          />
          <Pages found={data} filters={filters} />
        </section>
      )}
    </>
  );
}

function Empty({
  found,
  filters,
  error,
}: {
  found: Found | undefined;
  filters: Filters;
  error: ApiError | undefined;
}) {
  if (found === undefined) return error === undefined ? "reading …" : "";
  if (found.next !== null) return "No match among the jobs looked at so far.";
  if (isFiltered(filters) || filters.cursor !== "")
    return "No job matches. Jobs leave the list some time after their end.";
  return "There are no jobs. They leave the list some time after their end.";
}

function Pages({ found, filters }: { found: Found | undefined; filters: Filters }) {
  if (found === undefined) return null;
  return (
    <nav class="pages" aria-label="Pages of the list">
      {filters.cursor === "" ? null : <a href={jobsLink({ ...filters, cursor: "" })}>First page</a>}
      <span class="quiet">
        {found.jobs.length === 0 && found.next === null ? "" : counted(found.jobs.length, "job")}
        {found.jobs.length > 0 && found.next === null ? ", the last of the list" : ""}
      </span>
      {found.next === null ? null : (
        <a href={jobsLink({ ...filters, cursor: found.next })}>
          {found.jobs.length === 0 ? "Look further" : "Next page"}
        </a>
      )}
    </nav>
  );
}
