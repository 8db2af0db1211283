// The last runs, in the storage of this browser.
import { signal } from "@preact/signals";
import { bounded, decodeList, type Entry, encodeList, withEntry } from "./history_list";
import { load, local, save } from "./store";

const key = "cellblock.playground.history";

/** The last runs, newest first. */
export const history = signal<readonly Entry[]>(decodeList(load(local, key)));

/** Adds an entry. If storage is full, the oldest entries make room; if it is blocked, the list lasts until the page is
 * left. */
export function addToHistory(entry: Entry): void {
  // Another tab may have added some.
  const stored = load(local, key);
  history.value = withEntry(stored === undefined ? history.value : decodeList(stored), entry);
  for (let list = history.value; list.length > 0; list = list.slice(0, Math.floor(list.length / 2))) {
    if (save(local, key, encodeList(bounded(list)))) return;
  }
}

/** Removes all entries, or puts a list back. */
export function setHistory(list: readonly Entry[]): void {
  history.value = list;
  save(local, key, list.length === 0 ? undefined : encodeList(list));
}
