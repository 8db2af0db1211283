import { JobView } from "../job/job_view";
import type { ApiError } from "../shared/api";
import { Data } from "../shared/data";
import { adviceFor } from "./advice";
import { followAgain, runAs, start } from "./run";
import { run } from "./run_state";
import { status } from "./state";

/** What the last run printed and left, or why there is none. */
export function OutputPane() {
  return (
    <section class="output" aria-label="Output" id="output">
      <p class="run-status" role="status">
        <Data text={status.value} />
      </p>
      <Content />
    </section>
  );
}

function Content() {
  const { value } = run;
  switch (value.phase) {
    case "idle":
      return (
        <p class="empty">
          Press Run, or <kbd>Ctrl</kbd> <kbd>Enter</kbd>. What the script prints, returns and leaves appears
          here.
        </p>
      );
    case "sending":
      return null;
    case "live":
      return <JobView job={value.job} output={value.output} />;
    case "ended":
      return (
        <>
          {value.job.code === "missing_main" && <OtherEntries />}
          <JobView job={value.job} output={value.output} />
        </>
      );
    case "failed":
      return (
        <>
          <Refusal error={value.error} follow={value.job !== undefined} />
          {value.job !== undefined && value.output !== undefined && (
            <JobView job={value.job} output={value.output} />
          )}
        </>
      );
  }
}

/** A script without main() is most often meant for another entry. */
function OtherEntries() {
  return (
    <p class="next">
      The script has no main().{" "}
      <button type="button" onClick={() => void runAs("script")}>
        Run as a script
      </button>{" "}
      <button type="button" onClick={() => void runAs("cell")}>
        Run as a cell
      </button>
    </p>
  );
}

function Refusal({ error, follow }: { error: ApiError; follow: boolean }) {
  const hint = error.body?.hint;
  return (
    <div class="refusal">
      <p>
        <strong>
          <Data text={error.message} />
        </strong>
      </p>
      {hint !== undefined && (
        <p>
          <Data text={hint} />
        </p>
      )}
      <p>{adviceFor(error)}</p>
      <p class="actions">
        {follow ? (
          <button type="button" onClick={() => void followAgain()}>
            Follow the job again
          </button>
        ) : (
          <button type="button" onClick={() => void start()}>
            Run again
          </button>
        )}
        <code class="hint">{error.code}</code>
      </p>
    </div>
  );
}
