import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { bytes, counted } from "../shared/format";
import { CopyButton } from "./copy_button";
import { LongText } from "./long_text";
import { Scroll } from "./scroll";

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
  const { box, follows, scrolled, follow } = useFollow(text, live);
  return (
    <div class={`stream ${name}`}>
      <div class="head">
        <h2>{name}</h2>
        <span class="quiet">{lineCount(text)}</span>
        {live && !follows && (
          <button type="button" class="small" onClick={follow}>
            Follow the end
          </button>
        )}
        <CopyButton label="Copy" text={() => text} />
      </div>
      <Scroll class="text" role="log" label={name} box={box} onScroll={scrolled}>
        <LongText text={text} />
      </Scroll>
      {truncated && (
        <p class="cut">
          {name} is cut{limit === undefined ? " at its limit" : ` at ${bytes(limit)}`}: what came after this
          is lost.
        </p>
      )}
    </div>
  );
}

/** Keeps a box at its end while text comes, unless the user has scrolled up. */
function useFollow(text: string, live: boolean) {
  const box = useRef<HTMLDivElement>(null);
  const last = useRef(0);
  const [follows, setFollows] = useState(true);
  // The last text may come with the end of the job. A job that has ended before is shown from the beginning.
  const wasLive = useRef(live);
  useLayoutEffect(() => {
    if (!wasLive.current || !follows || text === "") return;
    scrollToEnd(box.current);
    // Once parts are in sight, their heights are known, and the end may be further down.
    const frame = requestAnimationFrame(() => scrollToEnd(box.current));
    return () => cancelAnimationFrame(frame);
  }, [text, follows]);
  const scrolled = () => {
    const element = box.current;
    if (element === null) return;
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 24;
    if (atEnd) setFollows(true);
    else if (element.scrollTop < last.current) setFollows(false); // otherwise text came meanwhile
    last.current = element.scrollTop;
  };
  const follow = () => {
    scrollToEnd(box.current);
    setFollows(true);
  };
  return { box, follows, scrolled, follow };
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
