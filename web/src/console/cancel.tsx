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
  const wasOpen = useRef(false);
  const wasUsed = useRef(false);
  const first = useRef<HTMLButtonElement>(null);
  const yes = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const isOpen = state === "asking" || state === "sending";
    if (isOpen) wasUsed.current = true;
    if (state === "asking") yes.current?.focus();
    if (!isOpen && wasOpen.current) first.current?.focus();
    wasOpen.current = isOpen;
  }, [state]);
  // At the job's end the button goes away; the focus must not be lost with it.
  useEffect(() => () => void (wasUsed.current && setTimeout(focusHeading)), []);
  const cancel = async () => {
    if (state !== "asking") return;
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
  // Buttons that are disabled lose the focus, so they only look so.
  const stay = () => state === "asking" && setState("idle");
  const ask = () => state === "idle" && setState("asking");
  return (
    <div class="cancel">
      {state === "asking" || state === "sending" ? (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset is as wide as its legend and its buttons together
        <div
          role="group"
          aria-labelledby="cancel-question"
          class="question"
          onKeyDown={(event) => event.key === "Escape" && stay()}
        >
          <p id="cancel-question">End this job now? What it has not returned yet is lost.</p>
          <button type="button" class="danger" ref={yes} aria-disabled={state === "sending"} onClick={cancel}>
            Yes, cancel the job
          </button>
          <button type="button" aria-disabled={state === "sending"} onClick={stay}>
            No, let it go on
          </button>
        </div>
      ) : (
        <button type="button" ref={first} aria-disabled={state === "sent"} onClick={ask}>
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

function focusHeading(): void {
  if (document.activeElement === document.body) document.querySelector<HTMLElement>("main h1")?.focus();
}
