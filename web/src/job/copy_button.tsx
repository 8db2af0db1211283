import { useEffect, useState } from "preact/hooks";
import { copyText } from "../shared/clipboard";

/** A button that copies a text, which is made when it is pressed. */
export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const [outcome, setOutcome] = useState("");
  useEffect(() => {
    if (outcome === "") return;
    const timer = setTimeout(() => setOutcome(""), 2_000);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => setOutcome((await copyText(text())) ? "Copied" : "Not copied");
  return (
    <button type="button" class="small" onClick={copy}>
      {outcome === "" ? label : outcome}
      <span class="hidden-text" role="status">
        {outcome}
      </span>
    </button>
  );
}
