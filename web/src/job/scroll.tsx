import type { ComponentChildren, Ref } from "preact";

interface ScrollProperties {
  label: string;
  class: string;
  role?: "region" | "log";
  box?: Ref<HTMLDivElement>;
  onScroll?: () => void;
  children: ComponentChildren;
}

/** A part of the page that scrolls by itself. It takes the focus, so that the keyboard scrolls it too. */
export function Scroll({ label, class: name, role = "region", box, onScroll, children }: ScrollProperties) {
  return (
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: both roles have labels
    <div
      ref={box ?? null}
      class={`scroll ${name}`}
      role={role}
      aria-live="off"
      aria-label={label}
      // WCAG 2.1.1 asks for it where content scrolls.
      tabIndex={0}
      onScroll={onScroll}
    >
      {children}
    </div>
  );
}
