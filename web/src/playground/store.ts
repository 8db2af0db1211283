// Storage of this browser. It may be blocked, full, or hold what another version wrote.

/** Returns the stored value of a key; undefined if there is none or it cannot be read. */
export function load(storage: () => Storage, key: string): unknown {
  try {
    const text = storage().getItem(key);
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Stores a value, or removes the key if it is undefined. Reports whether that succeeded. */
export function save(storage: () => Storage, key: string, value: unknown): boolean {
  try {
    if (value === undefined) storage().removeItem(key);
    else storage().setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false; // blocked, or the quota is used up
  }
}

/** The storage that outlives the tab. It is a function, since the access alone throws if storage is blocked. */
export const local = () => localStorage;
/** The storage of the tab. */
export const session = () => sessionStorage;
