import type { ComponentChildren } from "preact";

/** Names with their values; those without a value are left out. */
export function Facts({ facts }: { facts: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <dl class="pairs">
      {facts.map(([name, value]) =>
        isNothing(value) ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

function isNothing(value: ComponentChildren): boolean {
  return value === null || value === undefined || value === false || value === "";
}
