import type { ComponentChildren } from "preact";
import { ThemeButton } from "./theme_button";
import { TokenField } from "./token_field";

/** The header of both pages: where they lead, the token, and the theme. */
export function Header({ page, children }: { page: "playground" | "console"; children?: ComponentChildren }) {
  return (
    <header class="bar">
      <nav aria-label="Pages">
        <a href="/" class="brand" aria-current={page === "playground" ? "page" : undefined}>
          Cellblock
        </a>
        <a href="/console" aria-current={page === "console" ? "page" : undefined}>
          Console
        </a>
        <a href="/docs">API</a>
      </nav>
      {children}
      <TokenField />
      <ThemeButton />
    </header>
  );
}
