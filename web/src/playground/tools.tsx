import { useEffect, useState } from "preact/hooks";
import { Data } from "../shared/data";
import { CopyPanel } from "./copy_panel";
import { chooseExample } from "./draft";
import { examples } from "./examples";
import { AddFiles, FilesList } from "./files_list";
import { HistoryPanel } from "./history_panel";
import { OptionsPanel } from "./options_panel";
import { cancel, start } from "./run";
import { run } from "./run_state";
import { SharePanel } from "./share_panel";
import { changed, notice, type PanelName, panel } from "./state";

const panels = {
  options: { label: "Options", content: OptionsPanel },
  history: { label: "History", content: HistoryPanel },
  copy: { label: "Copy as", content: CopyPanel },
  share: { label: "Share", content: SharePanel },
};

/** The row above the editor. */
export function Tools() {
  return (
    <div class="tools">
      <Examples />
      <AddFiles />
      {(Object.keys(panels) as PanelName[]).map((name) => (
        <PanelButton key={name} name={name} />
      ))}
    </div>
  );
}

function Examples() {
  return (
    <select
      aria-label="Examples"
      value=""
      onChange={(event) => {
        const { currentTarget } = event;
        chooseExample(Number(currentTarget.value));
        currentTarget.value = ""; // it is a menu: it names no example that was edited since
      }}
    >
      <option value="" disabled hidden>
        Examples
      </option>
      {examples.map((example, index) => (
        <option key={example.title} value={index}>
          {example.title}
        </option>
      ))}
    </select>
  );
}

function PanelButton({ name }: { name: PanelName }) {
  const open = panel.value === name;
  const count = name === "options" ? changed.value.length : 0;
  return (
    <button
      type="button"
      id={`open-${name}`}
      aria-expanded={open}
      aria-controls="panel"
      onClick={() => {
        panel.value = open ? undefined : name;
      }}
    >
      {panels[name].label}
      {count > 0 && (
        <span class="count">
          {count}
          <span class="hidden-text"> changed</span>
        </span>
      )}
    </button>
  );
}

/** The open panel, the notice, and what differs from the defaults. */
export function Panel() {
  const name = panel.value;
  const Content = name === undefined ? undefined : panels[name].content;
  return (
    <>
      <NoticeLine />
      {name !== "options" && changed.value.length > 0 && (
        <ul class="chips" aria-label="Options of the run">
          {changed.value.map((text) => (
            <li key={text} class="chip">
              <Data text={text} />
            </li>
          ))}
        </ul>
      )}
      <FilesList />
      <div id="panel" class="panel" hidden={name === undefined}>
        {Content !== undefined && name !== undefined && (
          <section aria-label={panels[name].label}>
            <Content />
          </section>
        )}
      </div>
    </>
  );
}

function NoticeLine() {
  const { value } = notice;
  return (
    <div role="status" class="notice-place">
      {value !== undefined && (
        <p class="notice">
          <Data text={value.text} />{" "}
          {value.action !== undefined && (
            <button type="button" onClick={value.action.run}>
              {value.action.label}
            </button>
          )}{" "}
          <button type="button" onClick={() => clearNotice()} aria-label="Close the message">
            <span aria-hidden="true">×</span>
          </button>
        </p>
      )}
    </div>
  );
}

function clearNotice(): void {
  notice.value = undefined;
}

/** The button that runs the script, and the one that cancels it. */
export function RunButtons() {
  const { value } = run;
  const busy = value.phase === "sending" || value.phase === "live";
  const apple = /Mac|iPhone|iPad/.test(navigator.userAgent);
  return (
    <div class="run-bar">
      {busy && <Elapsed />}
      {busy && (
        <button
          type="button"
          onClick={() => void cancel()}
          disabled={value.cancelling && value.phase === "live"}
        >
          {value.cancelling ? "Cancelling" : "Cancel"} <kbd>Esc</kbd>
        </button>
      )}
      <button
        type="button"
        class="primary"
        aria-disabled={busy}
        aria-keyshortcuts="Control+Enter Meta+Enter"
        onClick={() => void start()}
      >
        {busy ? "Running" : "Run"} <kbd>{apple ? "⌘ Enter" : "Ctrl Enter"}</kbd>
      </button>
    </div>
  );
}

/** How long the run takes so far. */
function Elapsed() {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const began = performance.now();
    const timer = setInterval(() => setSeconds((performance.now() - began) / 1000), 100);
    return () => clearInterval(timer);
  }, []);
  return (
    <span class="elapsed" aria-hidden="true">
      {seconds.toFixed(1)} s
    </span>
  );
}
