// The chosen theme, in the storage of this browser. It is apart from theme.ts, so that theme_early.ts stays small.

export type Theme = "system" | "light" | "dark";

const storageKey = "cellblock.theme";

/** Returns the chosen theme; the system's if there is none or storage is blocked. */
export function storedTheme(): Theme {
  try {
    const value = localStorage.getItem(storageKey);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system";
  }
}

/** Stores the theme. If storage is blocked, it lasts until the page is left. */
export function storeTheme(theme: Theme): void {
  try {
    localStorage.setItem(storageKey, theme);
  } catch {
    // See above.
  }
}

/** Applies a theme to the page; base.css has what follows from it. */
export function applyTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
}
