import { Data } from "../shared/data";
import { age } from "../shared/format";
import { now, serviceTime } from "./clock";
import type { Reading } from "./use_poll";

/** Shows how old a reading is, or why it is out of date. */
export function Freshness({ reading }: { reading: Reading<unknown> }) {
  const { data, at, error, nextAt } = reading;
  if (error === undefined) {
    return <p class="freshness">{data === undefined ? "reading …" : <Updated at={at} />}</p>;
  }
  return (
    <div class="freshness stale" role="status">
      <span>
        {data === undefined ? "" : "Out of date. "}
        <Data text={error.message} />
      </span>{" "}
      <span aria-hidden="true">
        {data === undefined ? "" : <Updated at={at} />}
        {nextAt === undefined ? "" : <NextAttempt at={nextAt} />}
      </span>{" "}
      <button type="button" onClick={reading.refresh}>
        Try now
      </button>
    </div>
  );
}

function Updated({ at }: { at: number }) {
  return <span class="updated">updated {age(now.value - serviceTime(at))} ago</span>;
}

function NextAttempt({ at }: { at: number }) {
  return <span>, next attempt in {age(serviceTime(at) - now.value)}</span>;
}
