import { useEffect, useState } from "preact/hooks";
import { copyText } from "../shared/clipboard";

interface CopyActionProps {
  label: string;
  text: string;
  /** What to do where the browser does not copy. */
  otherwise: string;
}

/** The button that copies what a panel shows. The outcome is where the eye is: on the button, or beside it. */
export function CopyAction({ label, text, otherwise }: CopyActionProps) {
  const [copied, setCopied] = useState<boolean>();
  useEffect(() => {
    if (copied !== true) return;
    const timer = setTimeout(() => setCopied(undefined), 2_000);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <>
      <button
        type="button"
        class="primary"
        disabled={text === ""}
        onClick={async () => setCopied(await copyText(text))}
      >
        {copied === true ? "Copied" : label}
      </button>
      <span role="status" class={copied === false ? "problem" : "hidden-text"}>
        {copied === true && "Copied"}
        {copied === false && `The browser did not copy it. ${otherwise}`}
      </span>
    </>
  );
}
