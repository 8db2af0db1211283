import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { CopyButton } from "./copy_button";
import { bytes, counted } from "./format";
import { LongText } from "./long_text";

interface StreamProperties {
  name: "stdout" | "stderr";
  text: string;
  truncated: boolean;
  /** Whether more may come. */
  live: boolean;
  /** The size to which the output is cut, if it is known. */
  limit: number | undefined;
}

/** What a job wrote to stdout or stderr. It follows the end until the user scrolls up. */
export function Stream({ name, text, truncated, live, limit }: StreamProperties) {
  const box = useRef<HTMLPreElement>(null);
  const [follows, setFollows] = useState(true);
  useLayoutEffect(() => {
    if (live && follows && text !== "") scrollToEnd(box.current);
  }, [text, live, follows]);
  const scrolled = () => {
    const element = box.current;
    if (element === null) return;
    setFollows(element.scrollHeight - element.scrollTop - element.clientHeight < 24);
  };
  return (
    <section class={`stream ${name}`} aria-label={name}>
      <div class="head">
        <h2>{name}</h2>
        <span class="quiet">{lineCount(text)}</span>
        {live && !follows && (
          <button type="button" class="small" onClick={() => scrollToEnd(box.current)}>
            Follow the end
          </button>
        )}
        <CopyButton label="Copy" text={() => text} />
      </div>
      <pre ref={box} tabIndex={0} role="log" aria-live="off" aria-label={name} onScroll={scrolled}>
        <LongText text={text} />
      </pre>
      {truncated && (
        <p class="cut">
          {name} is cut{limit === undefined ? " at its limit" : ` at ${bytes(limit)}`}: what the script wrote
          after this is lost.
        </p>
      )}
    </section>
  );
}

function scrollToEnd(element: HTMLElement | null): void {
  if (element !== null) element.scrollTop = element.scrollHeight;
}

function lineCount(text: string): string {
  let lines = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines++;
  if (!text.endsWith("\n") && text !== "") lines++;
  return counted(lines, "line");
}
