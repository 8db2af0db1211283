import { useEffect, useState } from "preact/hooks";

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

/** Copies a text to the clipboard, and reports whether it could. */
async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard !== undefined) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Without permission the other way may work.
    }
  }
  // On plain HTTP, but for localhost, browsers have no navigator.clipboard.
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden-text";
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return copied;
}
