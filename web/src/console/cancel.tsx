import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, jobPath, send } from "../shared/api";
import { Data } from "../shared/data";

interface CancelProps {
  id: string;
  /** Called when the service has taken the request, or the job has ended before. */
  onDone: () => void;
}

/** The button that cancels a job, after a confirmation. */
export function Cancel({ id, onDone }: CancelProps) {
  const [state, setState] = useState<"idle" | "asking" | "sending" | "sent">("idle");
  const [error, setError] = useState("");
  const wasAsking = useRef(false);
  const first = useRef<HTMLButtonElement>(null);
  const yes = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (state === "asking") yes.current?.focus();
    if (state === "idle" && wasAsking.current) first.current?.focus();
    wasAsking.current = state === "asking";
  }, [state]);
  const cancel = async () => {
    setState("sending");
    setError("");
    try {
      await send(jobPath(id), { method: "DELETE" });
      setState("sent");
      onDone();
    } catch (failure) {
      setState("idle");
      setError(failure instanceof ApiError ? failure.message : "The service does not answer.");
      if (failure instanceof ApiError && failure.code === "already_finished") onDone();
    }
  };
  return (
    <div class="cancel">
      {state === "asking" || state === "sending" ? (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset is as wide as its legend and its buttons together
        <div
          role="group"
          aria-labelledby="cancel-question"
          class="question"
          onKeyDown={(event) => event.key === "Escape" && setState("idle")}
        >
          <p id="cancel-question">End this job now? What it has not returned yet is lost.</p>
          <button type="button" class="danger" ref={yes} disabled={state === "sending"} onClick={cancel}>
            Yes, cancel the job
          </button>
          <button type="button" disabled={state === "sending"} onClick={() => setState("idle")}>
            No, let it go on
          </button>
        </div>
      ) : (
        <button type="button" ref={first} disabled={state === "sent"} onClick={() => setState("asking")}>
          {state === "sent" ? "Being cancelled …" : "Cancel the job …"}
        </button>
      )}
      {error === "" ? null : (
        <p class="error" role="alert">
          <Data text={error} />
        </p>
      )}
    </div>
  );
}
