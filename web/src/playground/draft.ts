// The script that is kept in the browser, and its replacement by an example, a link or an earlier run, which never
// loses a script of the user.
import { effect } from "@preact/signals";
import { examples } from "./examples";
import type { InputFile } from "./files";
import { addToHistory, history } from "./history";
import type { Entry } from "./history_list";
import { defaultOptions, type Options, parseOptions, variableNames, withoutValues } from "./options";
import { isBusy, run } from "./run_state";
import { fragmentOf, LinkError, openFragment } from "./share";
import { files, mark, notice, options, script, status } from "./state";
import { load, local, save, session } from "./store";

const draftKey = "cellblock.playground.draft";
/** The values of environment variables may be secrets, so they stay in the tab. */
const valuesKey = "cellblock.playground.env";
const delay = 300;

interface Draft {
  script: string;
  options: Options;
}

/** A draft as it is kept: of the files, the names. */
interface KeptDraft extends Draft {
  files: readonly string[];
}

/** What came from a link and has not been changed or run yet; it does not replace the kept script. */
let untouched: Draft | undefined;
/** What this tab read or kept last. A tab that changed nothing must not put it over what another one kept since. */
let last: string | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Shows the kept script, or the first example; then that of the link, if the page was opened with one. From then on,
 * changes are kept. */
export async function openDraft(): Promise<void> {
  const kept = keptDraft();
  if (kept !== undefined) {
    last = JSON.stringify(kept);
    showKept(kept);
  } else showExample(0);
  await openLink();
  effect(() => {
    const now = { script: script.value, options: options.value };
    void files.value; // their names are kept too
    clearTimeout(timer);
    timer = setTimeout(() => keep(now), delay);
  });
  addEventListener("hashchange", () => void openLink());
  addEventListener("pagehide", keepNow);
}

function keptDraft(): KeptDraft | undefined {
  const data = load(local, draftKey) as { script?: unknown; options?: unknown; files?: unknown } | undefined;
  const read = parseOptions(data?.options);
  if (typeof data?.script !== "string" || read === undefined) return undefined;
  const env = load(session, valuesKey);
  const same = typeof env === "string" && variableNames(env).join() === variableNames(read.env).join();
  const names = Array.isArray(data.files) ? data.files.filter((name) => typeof name === "string") : [];
  return { script: data.script, options: same ? { ...read, env } : read, files: names };
}

/** Shows the kept script with the files of its example, and names those that were not kept. */
function showKept(kept: KeptDraft): void {
  show(kept);
  files.value = filesOfExample(kept.script);
  const absent = kept.files.filter((path) => !files.value.some((file) => file.path === path));
  if (absent.length > 0) notice.value = { text: `Add ${theFiles(absent)}, which the browser does not keep.` };
}

function filesOfExample(text: string): readonly InputFile[] {
  return examples.find((example) => example.script === text)?.files ?? [];
}

function theFiles(paths: readonly string[]): string {
  return `the file${paths.length === 1 ? "" : "s"} ${paths.join(", ")}`;
}

/** Keeps what is on the page now. */
export function keepNow(): void {
  keep({ script: script.value, options: options.value });
}

/** Makes a script that came from a link the user's own, as if it had been edited. */
export function adopt(): void {
  untouched = undefined;
  keepNow();
}

function keep(draft: Draft): void {
  clearTimeout(timer);
  if (untouched?.script === draft.script && untouched.options === draft.options) return;
  if (untouched !== undefined) {
    untouched = undefined;
    dropFragment(); // the page no longer shows what the link has
  }
  const now: KeptDraft = { ...draft, files: files.value.map((file) => file.path) };
  const text = JSON.stringify(now);
  if (text === last) return;
  const kept = save(local, draftKey, { ...now, options: withoutValues(draft.options) });
  save(session, valuesKey, draft.options.env === "" ? undefined : draft.options.env);
  if (kept) last = text;
  else notice.value = { text: "The browser does not store the script: it lasts until the page is left." };
}

function dropFragment(): void {
  if (location.hash !== "") window.history.replaceState(null, "", location.pathname + location.search);
}

/** Shows a script, without the output of the one before. */
function show(draft: Draft): void {
  if (!isBusy()) {
    run.value = { phase: "idle" };
    status.value = "";
  }
  mark.value = undefined;
  script.value = draft.script;
  options.value = draft.options;
}

function isOwn(text: string): boolean {
  return text.trim() !== "" && !examples.some((example) => example.script === text);
}

/** Replaces what is on the page. A script of the user goes into the history, and the notice offers to undo. */
export function replace(draft: Draft, what: string, added: readonly InputFile[] = []): void {
  const before = { draft: { script: script.value, options: options.value }, files: files.value };
  const own = isOwn(before.draft.script) && before.draft.script !== draft.script;
  if (own) remember(before.draft);
  untouched = undefined;
  show(draft);
  const others = files.value.filter((file) => file.ofExample !== true);
  files.value = [...others.filter((file) => !added.some((each) => each.path === file.path)), ...added];
  if (!own) {
    notice.value = undefined;
    return;
  }
  notice.value = {
    text: `${what}. Your script is in the history.`,
    action: {
      label: "Undo",
      run: () => {
        show(before.draft);
        files.value = before.files;
        notice.value = undefined;
      },
    },
  };
}

function remember(draft: Draft): void {
  const known = history.value.some((entry) => entry.script === draft.script);
  if (!known)
    addToHistory({ ...draft, at: Date.now(), outcome: "not run", files: files.value.map((f) => f.path) });
}

/** Shows an example in place of what is on the page. */
export function chooseExample(index: number): void {
  const example = examples[index];
  if (example === undefined) return;
  replace(
    { script: example.script, options: { ...defaultOptions(), ...example.options } },
    `Example “${example.title}”`,
    example.files,
  );
}

function showExample(index: number): void {
  const example = examples[index];
  if (example === undefined) return;
  show({ script: example.script, options: { ...defaultOptions(), ...example.options } });
  files.value = example.files ?? [];
}

/** Shows a run of the history. */
export function restore(entry: Entry): void {
  const { script, options } = entry;
  replace({ script, options }, "The earlier run is here again", filesOfExample(script));
  const missing = [];
  const names = variableNames(entry.options.env);
  if (names.length > 0) missing.push(`the values of ${names.join(", ")}`);
  const absent = entry.files.filter((path) => !files.value.some((file) => file.path === path));
  if (absent.length > 0) missing.push(theFiles(absent));
  if (missing.length === 0) return;
  const text = `${notice.value?.text ?? "The earlier run is here again."} Add ${missing.join(" and ")}, which are not kept.`;
  notice.value = { ...notice.value, text };
}

/** Shows what the link in the address has. It does not run, and the kept script stays until this one is changed. */
async function openLink(): Promise<void> {
  try {
    const shared = await openFragment(location.hash);
    if (shared === undefined) return;
    const before: Draft = { script: script.value, options: options.value };
    const own = isOwn(before.script);
    if (own) remember(before);
    show(shared);
    files.value = files.value.filter((file) => file.ofExample !== true);
    untouched = { script: shared.script, options: shared.options };
    notice.value = linkNotice(own ? before : undefined);
  } catch (failure) {
    if (!(failure instanceof LinkError)) throw failure;
    notice.value = { text: failure.message };
  }
}

function linkNotice(before: Draft | undefined): {
  text: string;
  action?: { label: string; run: () => void };
} {
  const text = "This script came with a link. Read it before you run it.";
  if (before === undefined) return { text };
  return {
    text: `${text} Your own is in the history.`,
    action: {
      label: "Back to mine",
      run: () => {
        dropFragment();
        untouched = undefined;
        show(before);
        notice.value = undefined;
      },
    },
  };
}

/** Returns a link to what is on the page, without files and token; with or without environment variables. */
export async function linkTo(withEnv: boolean): Promise<string> {
  const shared = { script: script.value, options: withEnv ? options.value : { ...options.value, env: "" } };
  return location.origin + location.pathname + (await fragmentOf(shared));
}
