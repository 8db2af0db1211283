import { setTheme, theme } from "./theme";
import type { Theme } from "./theme_stored";

const next: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const symbols: Record<Theme, string> = { system: "◐", light: "☀", dark: "☾" };

/** Goes round the themes: the system's, light, dark. */
export function ThemeButton() {
  const label = `Theme: ${theme.value}. Change to ${next[theme.value]}`;
  return (
    <button
      type="button"
      class="icon"
      aria-label={label}
      title={label}
      onClick={() => setTheme(next[theme.value])}
    >
      <span aria-hidden="true">{symbols[theme.value]}</span>
    </button>
  );
}
