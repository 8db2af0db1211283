import { useMemo, useRef, useState } from "preact/hooks";
import { Data } from "../shared/data";
import { count } from "../shared/format";
import { visibleText } from "../shared/text";
import { Chunks } from "./chunks";
import { memo } from "./memo";
import { useNear } from "./near";

/** Of a longer text, only the first part is shown at once. */
const most = 1 << 20;

/** Shows a text of any length as data. The browser lays out only the parts that are in sight. */
export function LongText({ text }: { text: string }) {
  const chunks = useMemo(() => new Chunks(), []);
  const [all, setAll] = useState(false);
  // Outputs have a megabyte of UTF-8, and come to their end here.
  const shown = all || text.length <= most + 1024 ? text : text.slice(0, most);
  return (
    <>
      {chunks.of(shown).map((chunk, index) => (
        <Chunk key={index} text={chunk} />
      ))}
      {shown !== text && (
        <button type="button" class="small" onClick={() => setAll(true)}>
          Show all {count(text.length)} characters
        </button>
      )}
    </>
  );
}

const Chunk = memo(function Chunk({ text }: { text: string }) {
  const box = useRef<HTMLDivElement>(null);
  const near = useNear(box);
  // An estimate of the height: if it were too low, all parts would be in sight at first.
  const lines = text.split("\n").length + Math.floor(text.length / 100);
  return (
    <div class="chunk" ref={box} style={{ "--lines": lines }}>
      {/* An element for each special character of a whole output would take the browser half a minute. */}
      {near ? <Data text={text} /> : <bdi dir="ltr">{visibleText(text)}</bdi>}
    </div>
  );
});
