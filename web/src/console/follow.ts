import { useEffect, useState } from "preact/hooks";
import type { Output } from "../job/job_view";
import { ApiError, type Job } from "../shared/api";
import { watch } from "../shared/events";
import { token } from "../shared/session";

/** What was seen of a job that is followed. */
export interface Followed {
  output: Output;
  /** The status, once the service has sent one. */
  status: Job["status"] | undefined;
  /** The whole job, once it has ended. */
  ended: Job | undefined;
  error: ApiError | undefined;
}

const nothing: Followed = {
  output: { stdout: "", stderr: "" },
  status: undefined,
  ended: undefined,
  error: undefined,
};

/** How often new output is shown, in milliseconds: a job may print faster than a page can be drawn. */
const step = 100;

/** Follows a job while isOn. It goes on while the page is hidden: nothing of the output is lost, and there is one
 * response only. */
export function useFollow(id: string, isOn: boolean): Followed {
  const bearer = token.value;
  const [state, setState] = useState({ id, followed: nothing });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another token reads anew
  useEffect(() => {
    if (!isOn) return;
    const over = new AbortController();
    void follow(id, (followed) => setState({ id, followed }), over.signal);
    return () => over.abort();
  }, [id, isOn, bearer]);
  return state.id === id ? state.followed : nothing;
}

async function follow(id: string, show: (followed: Followed) => void, signal: AbortSignal): Promise<void> {
  let seen = nothing;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    timer = undefined;
    if (!signal.aborted) show(seen);
  };
  const later = () => {
    timer ??= setTimeout(flush, step);
  };
  try {
    for await (const event of watch(id, signal)) {
      if (event.type === "state") seen = { ...seen, status: event.state.status };
      else if (event.type === "end") seen = { ...seen, status: event.job.status, ended: event.job };
      else seen = { ...seen, output: { ...seen.output, [event.type]: seen.output[event.type] + event.text } };
      later();
    }
  } catch (failure) {
    if (signal.aborted) return;
    const error = failure instanceof ApiError ? failure : undefined;
    seen = { ...seen, error: error ?? new ApiError(0, "network", "The stream of events broke off.") };
  }
  clearTimeout(timer);
  flush();
}
