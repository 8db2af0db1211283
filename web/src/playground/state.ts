// What is on the page: the script, its options and files. The panels and the notice are here too, since many parts
// open or show them.
import { computed, signal } from "@preact/signals";
import type { ErrorLine } from "../job/error_line";
import type { Schemas } from "../shared/api";
import type { InputFile } from "./files";
import { defaultOptions, type Options, readOptions, summary } from "./options";

/** The text of the editor. */
export const script = signal("");
/** The options of the next run. */
export const options = signal<Options>(defaultOptions());
/** The files of the next run. */
export const files = signal<readonly InputFile[]>([]);
/** The line that is marked in the editor. */
export const mark = signal<ErrorLine | undefined>(undefined);
/** The service's environments; undefined until they are known. */
export const environments = signal<readonly Schemas["Environment"][] | undefined>(undefined);

/** The options as fields of a request, and what is wrong with them. */
export const read = computed(() => readOptions(options.value));
/** What differs from the defaults, in short texts. */
export const changed = computed(() => summary(options.value));

export type PanelName = "options" | "history" | "copy" | "share";
/** The panel that is open. */
export const panel = signal<PanelName | undefined>(undefined);

/** A short message, which may offer one thing to do. */
export interface Notice {
  text: string;
  action?: { label: string; run: () => void };
}
export const notice = signal<Notice | undefined>(undefined);

/** What a screen reader reads out, and the line above the output shows. */
export const status = signal("");

/** Changes some options. */
export function setOptions(change: Partial<Options>): void {
  options.value = { ...options.value, ...change };
}
