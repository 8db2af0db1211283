import { Data } from "../shared/data";
import { duration, localTime } from "../shared/format";
import { restore } from "./draft";
import { history, setHistory } from "./history";
import { type Entry, titleOf } from "./history_list";
import { summary } from "./options";
import { notice, panel } from "./state";

/** The last runs, which can be restored. */
export function HistoryPanel() {
  const list = history.value;
  if (list.length === 0) return <p>No runs yet. The last 20 will be here, in this browser only.</p>;
  return (
    <>
      <ol class="history">
        {list.map((entry) => (
          <Row key={`${entry.at} ${entry.outcome}`} entry={entry} />
        ))}
      </ol>
      <p class="actions">
        <button type="button" onClick={clear}>
          Clear the history
        </button>{" "}
        <span class="hint">In this browser only, without files and values of environment variables.</span>
      </p>
    </>
  );
}

function clear(): void {
  const before = history.value;
  setHistory([]);
  notice.value = {
    text: "The history is empty.",
    action: {
      label: "Undo",
      run: () => {
        setHistory(before);
        notice.value = undefined;
      },
    },
  };
}

function Row({ entry }: { entry: Entry }) {
  const time = new Date(entry.at).toISOString();
  const took = entry.ms === undefined ? "" : ` · ${duration(entry.ms)}`;
  const options = summary(entry.options);
  return (
    <li>
      <button
        type="button"
        class="past"
        onClick={() => {
          panel.value = undefined;
          document.getElementById("open-history")?.focus(); // the panel goes away with the button
          restore(entry);
        }}
      >
        <span
          class={`outcome ${entry.outcome === "succeeded" ? "good" : entry.outcome === "not run" ? "" : "bad"}`}
        >
          {entry.outcome}
        </span>
        <span class="title">
          <Data text={titleOf(entry.script)} />
        </span>
        <span class="hint">
          <time dateTime={time}>{localTime(time).replace(/\.\d+$/, "")}</time>
          {took}
          {options.length > 0 && <Data text={` · ${options.join(" · ")}`} />}
          {entry.files.length > 0 && <Data text={` · ${entry.files.join(", ")}`} />}
        </span>
      </button>
    </li>
  );
}
