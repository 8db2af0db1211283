import { isNumber, numberText, type Value } from "../shared/exact_json";

/** Returns the beginning of a value as compact JSON: all of it, or at most so many characters with "…" at the end. */
export function preview(value: Value, most: number): string {
  let text = "";
  const add = (piece: string): boolean => {
    text += piece;
    return text.length <= most;
  };
  addTo(value, add, most);
  return text.length <= most ? text : `${cut(text, most - 1)}…`;
}

/** Returns the first characters of a text, without half of a pair of surrogates at its end. */
export function cut(text: string, most: number): string {
  const head = text.slice(0, most);
  return /[\ud800-\udbff]$/.test(head) ? head.slice(0, -1) : head;
}

/** Adds the JSON of a value, piece by piece, until add returns false; then it returns false too. */
function addTo(value: Value, add: (piece: string) => boolean, most: number): boolean {
  if (value === null || typeof value === "boolean") return add(String(value));
  if (isNumber(value)) return add(numberText(value));
  if (typeof value === "string") return add(JSON.stringify(value.slice(0, most + 1)));
  if (Array.isArray(value)) {
    if (!add("[")) return false;
    for (const [index, each] of value.entries()) {
      if (index > 0 && !add(", ")) return false;
      if (!addTo(each, add, most)) return false;
    }
    return add("]");
  }
  if (!add("{")) return false;
  for (const [index, name] of value.names.entries()) {
    if (!add(`${index > 0 ? ", " : ""}${JSON.stringify(name.slice(0, most + 1))}: `)) return false;
    if (!addTo(value.values[index] as Value, add, most)) return false;
  }
  return add("}");
}
