// Light or dark: the system's setting, unless the user chose one.
import { signal } from "@preact/signals";
import { applyTheme, storedTheme, storeTheme, type Theme } from "./theme_stored";

/** The theme of the page. */
export const theme = signal<Theme>(storedTheme());

/** Chooses a theme, for all pages of this service in this browser. */
export function setTheme(value: Theme): void {
  theme.value = value;
  applyTheme(value);
  storeTheme(value);
}
