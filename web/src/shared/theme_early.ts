// Runs before the page is painted, so that it does not flash in the wrong theme.
import { applyTheme, storedTheme } from "./theme_stored";

applyTheme(storedTheme());
