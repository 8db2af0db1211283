import type { ComponentChildren, HTMLAttributes, Ref } from "preact";

interface ListProps {
  /** What is listed. */
  label: string;
  region?: Ref<HTMLElement>;
  /** Handlers of the region. */
  events?: HTMLAttributes<HTMLElement>;
  children: ComponentChildren;
}

/** A region that scrolls. It takes the focus, so that the keyboard scrolls it too. */
export function List({ label, region, events, children }: ListProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard
    <section ref={region ?? null} class="list" aria-label={`${label}, list`} tabIndex={0} {...events}>
      {children}
    </section>
  );
}
