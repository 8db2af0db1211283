// The token of this tab. It is in sessionStorage, so that it ends with the tab, and is sent in the header Authorization
// only: never in a URL, never to another server.
import { signal } from "@preact/signals";

const storageKey = "cellblock.token";

function stored(): string {
  try {
    return sessionStorage.getItem(storageKey) ?? "";
  } catch {
    return ""; // storage is blocked: the token lasts until the page is left
  }
}

/** The token that requests are sent with; empty for none. */
export const token = signal(stored());

/** Why the service refused the last request for its token: "missing", "wrong", or "" if it did not. */
export const tokenRefused = signal<"" | "missing" | "wrong">("");

/** Sets the token of this tab; empty removes it. */
export function setToken(value: string): void {
  token.value = value;
  tokenRefused.value = "";
  try {
    if (value === "") sessionStorage.removeItem(storageKey);
    else sessionStorage.setItem(storageKey, value);
  } catch {
    // See stored.
  }
}
