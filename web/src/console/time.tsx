import { age } from "../shared/format";
import { now } from "./clock";
import { localTime } from "./local_time";

/** Shows a time of the service in this browser's time zone; its title is in UTC. */
export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="quiet">–</span>;
  return (
    <time dateTime={at} title={at}>
      {localTime(new Date(at), new Date())}
    </time>
  );
}

/** Shows how long ago a time of the service is; it counts on. */
export function Age({ at }: { at: string | null | undefined }) {
  if (!at) return <span class="quiet">–</span>;
  return (
    <time dateTime={at} title={at}>
      {age(now.value - Date.parse(at))}
    </time>
  );
}
