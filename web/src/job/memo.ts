import { type ComponentChild, type ComponentType, createElement } from "preact";
import { useRef } from "preact/hooks";

/** Returns a component that is rendered again only when one of its properties has changed. */
export function memo<P extends object>(component: ComponentType<P>): (properties: P) => ComponentChild {
  return function Memo(properties: P) {
    const last = useRef<{ properties: P; element: ComponentChild }>(undefined);
    if (last.current === undefined || !same(last.current.properties, properties)) {
      // Preact skips an element that is the same object as before.
      last.current = { properties, element: createElement(component, properties) };
    }
    return last.current.element;
  };
}

function same(a: object, b: object): boolean {
  const [before, after] = [Object.entries(a), Object.entries(b)];
  const values = new Map(before);
  return before.length === after.length && after.every(([name, value]) => Object.is(values.get(name), value));
}
