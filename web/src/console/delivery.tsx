import type { Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { Facts } from "./facts";
import { Time } from "./time";
import { count } from "./units";

type Callback = Schemas["Callback"];

const sentences: Record<Callback["status"], string> = {
  waiting: "waits for the job's end",
  pending: "not delivered yet",
  delivered: "delivered",
  failed: "failed permanently",
};

/** Shows the delivery of a job's webhook. */
export function Delivery({ callback }: { callback: Callback }) {
  return (
    <section class="panel" aria-labelledby="webhook">
      <div class="heading">
        <h2 id="webhook">Webhook</h2>
        <p class={`status ${callback.status}`}>{sentences[callback.status] ?? callback.status}</p>
      </div>
      <Facts
        facts={[
          ["URL", <Data key="url" text={callback.url} />],
          ["Attempts", count(callback.attempts, "attempt")],
          ["Last attempt", callback.last_attempt_at && <Time at={callback.last_attempt_at} />],
          ["Next attempt", callback.next_attempt_at && <Time at={callback.next_attempt_at} />],
          ["Response", callback.response_status && `HTTP status ${callback.response_status}`],
          ["Error", callback.error && <Data key="error" text={callback.error} />],
        ]}
      />
    </section>
  );
}
