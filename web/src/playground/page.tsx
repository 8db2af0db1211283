import { useEffect } from "preact/hooks";
import { Header } from "../shared/header";
import { token, tokenRefused } from "../shared/session";
import { openDraft } from "./draft";
import { Editor } from "./editor_view";
import { useEnvironments } from "./environment_field";
import { DropZone } from "./files_list";
import { OutputPane } from "./output_pane";
import { cancel, retryWithToken, start, stop } from "./run";
import { isBusy, run } from "./run_state";
import { panel } from "./state";
import { Panel, RunButtons, Tools } from "./tools";

/** The playground. */
export function Playground() {
  useEnvironments();
  useKeys();
  useToken();
  useOutputInView();
  useEffect(() => {
    void openDraft();
    addEventListener("pagehide", stop);
    return () => removeEventListener("pagehide", stop);
  }, []);
  return (
    <>
      <Header page="playground" />
      <main class="playground">
        <h1 class="hidden-text">Playground</h1>
        <div class="left">
          <Tools />
          <Panel />
          <Editor />
        </div>
        <div class="right">
          <RunButtons />
          <OutputPane />
        </div>
      </main>
      <DropZone />
    </>
  );
}

/** Ctrl+Enter runs and Escape cancels, wherever the focus is. Escape keeps its other meanings: with Tab, it leads out
 * of the editor. */
function useKeys(): void {
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.isComposing) return;
      const control = event.ctrlKey || event.metaKey;
      if (event.key === "Enter" && control && !event.altKey && !event.shiftKey) {
        event.preventDefault();
        event.stopPropagation();
        if (!event.repeat) void start();
      } else if (event.key === "Escape" && isBusy()) void cancel();
      else if (event.key === "Escape") closePanel();
    };
    addEventListener("keydown", press, true);
    return () => removeEventListener("keydown", press, true);
  }, []);
}

/** Closes the panel if the focus is in it, and returns the focus to its button. */
function closePanel(): void {
  const name = panel.value;
  if (name === undefined || !document.getElementById("panel")?.contains(document.activeElement)) return;
  panel.value = undefined;
  document.getElementById(`open-${name}`)?.focus();
}

/** Leads to the token's field when a run needs it, and runs again once there is a token. */
function useToken(): void {
  const now = token.value;
  const refused = tokenRefused.value;
  const { value } = run;
  const waits = value.phase === "failed" && value.error.status === 401;
  const asks = waits && refused !== "";
  useEffect(() => {
    if (asks) document.getElementById("token")?.focus();
  }, [asks]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new token is the reason to run
  useEffect(retryWithToken, [now]);
}

/** In one column, the output is below the editor: a run scrolls to it. */
function useOutputInView(): void {
  const sending = run.value.phase === "sending";
  useEffect(() => {
    const output = document.getElementById("output");
    if (!sending || output === null || matchMedia("(width >= 60rem)").matches) return;
    output.scrollIntoView({ block: "start" });
  }, [sending]);
}
