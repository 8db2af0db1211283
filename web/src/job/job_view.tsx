import type { Job } from "../shared/api";
import { Data } from "../shared/data";

/** What a job printed so far. */
export interface Output {
  stdout: string;
  stderr: string;
}

/** Shows a job: while it runs what it printed, and after its end all that it left. */
export function JobView({ job, output }: { job: Job; output: Output }) {
  return (
    <section class="job" aria-label="Job">
      <pre class="stdout">
        <Data text={output.stdout} />
      </pre>
      <pre class="stderr">
        <Data text={output.stderr} />
      </pre>
      <pre>
        <Data text={JSON.stringify(job, null, 2)} />
      </pre>
    </section>
  );
}
