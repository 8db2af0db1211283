import { useMemo } from "preact/hooks";
import { Data } from "../shared/data";
import { Chunks } from "./chunks";
import { memo } from "./memo";

/** Shows a text of any length as data. The browser lays out only the parts that are in sight. */
export function LongText({ text }: { text: string }) {
  const chunks = useMemo(() => new Chunks(), []);
  return (
    <>
      {chunks.of(text).map((chunk, index) => (
        // A part keeps its place while the text grows.
        // biome-ignore lint/suspicious/noArrayIndexKey: see above
        <Chunk key={index} text={chunk} />
      ))}
    </>
  );
}

const Chunk = memo(function Chunk({ text }: { text: string }) {
  const lines = text.split("\n").length;
  return (
    <div class="chunk" style={{ "--lines": lines }}>
      <Data text={text} />
    </div>
  );
});
