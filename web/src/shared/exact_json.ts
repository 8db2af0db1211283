// JSON as it was sent. JSON.parse rounds integers above 2^53, turns 3.0 into 3, and sorts keys that look like numbers;
// the results of jobs are shown as their scripts made them. (Browsers that report the source of a number to a reviver
// are too new to rely on, and they lose the order of keys all the same.)

/** A number whose text is not what JavaScript would write; or the text of a value below too many levels. */
export class ExactNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An object with its members in their order. Names may be any text, also "__proto__", and may repeat. */
export class Members {
  readonly names: string[] = [];
  readonly values: Value[] = [];

  /** Returns the value of the first member of that name. */
  get(name: string): Value | undefined {
    return this.values[this.names.indexOf(name)];
  }
}

/** A value of JSON. */
export type Value = null | boolean | number | ExactNumber | string | Value[] | Members;

/** The runner makes 500 levels at most, but a script can forge its result. More would overflow the stack. */
const mostLevels = 600;

/** Returns the value of a JSON text. Throws a SyntaxError if it is none. */
export function parseExact(text: string): Value {
  const parser = new Parser(text);
  const value = parser.value();
  parser.end();
  return value;
}

/** Returns the value that JSON.parse made of a text, with the numbers and the order that it has now. */
export function exactOf(parsed: unknown): Value {
  return parseExact(JSON.stringify(parsed) ?? "null");
}

/** Reports whether a value is a number. */
export function isNumber(value: Value | undefined): value is number | ExactNumber {
  return typeof value === "number" || value instanceof ExactNumber;
}

/** Returns a number as its JSON text has it. */
export function numberText(value: number | ExactNumber): string {
  return typeof value === "number" ? String(value) : value.text;
}

/** Values below so many levels are written on one line: the indents could otherwise have gigabytes. */
const mostIndent = "\n".length + 2 * 20;

/** Returns the value as JSON, with an indent of two spaces for each level; without line ends if compact. */
export function formatExact(value: Value, compact = false): string {
  const pieces: string[] = [];
  write(value, compact ? undefined : "\n", pieces);
  return pieces.join("");
}

function write(value: Value, lineEnd: string | undefined, pieces: string[]): void {
  if (value === null || typeof value === "boolean") pieces.push(String(value));
  else if (typeof value === "number" || value instanceof ExactNumber) pieces.push(numberText(value));
  else if (typeof value === "string") pieces.push(JSON.stringify(value));
  else if (Array.isArray(value)) {
    writeAll("[", "]", value.length, lineEnd, pieces, (index, inner) =>
      write(value[index] as Value, inner, pieces),
    );
  } else {
    writeAll("{", "}", value.names.length, lineEnd, pieces, (index, inner) => {
      pieces.push(JSON.stringify(value.names[index]), inner === undefined ? ":" : ": ");
      write(value.values[index] as Value, inner, pieces);
    });
  }
}

function writeAll(
  open: string,
  close: string,
  count: number,
  lineEnd: string | undefined,
  pieces: string[],
  each: (index: number, lineEnd: string | undefined) => void,
): void {
  pieces.push(open);
  const inner = lineEnd === undefined || lineEnd.length >= mostIndent ? undefined : `${lineEnd}  `;
  for (let index = 0; index < count; index++) {
    if (index > 0) pieces.push(",");
    if (inner !== undefined) pieces.push(inner);
    each(index, inner);
  }
  if (count > 0 && inner !== undefined && lineEnd !== undefined) pieces.push(lineEnd);
  pieces.push(close);
}

const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const words: [string, null | boolean][] = [
  ["null", null],
  ["true", true],
  ["false", false],
];

class Parser {
  private readonly text: string;
  private at = 0;
  private level = 0;

  constructor(text: string) {
    this.text = text;
  }

  value(): Value {
    this.skip();
    switch (this.text[this.at]) {
      case '"':
        return this.string();
      case "[":
      case "{":
        return this.container();
    }
    return this.word();
  }

  private container(): Value {
    if (this.level === mostLevels) return this.raw();
    this.level++;
    const value = this.text[this.at] === "[" ? this.array() : this.object();
    this.level--;
    return value;
  }

  /** Returns a container as its text. */
  private raw(): ExactNumber {
    const from = this.at;
    let open = 0;
    do {
      const character = this.text[this.at];
      if (character === '"') {
        this.string();
        continue;
      }
      if (character === undefined) this.fail();
      if (character === "[" || character === "{") open++;
      if (character === "]" || character === "}") open--;
      this.at++;
    } while (open > 0);
    return new ExactNumber(this.text.slice(from, this.at));
  }

  private word(): null | boolean | number | ExactNumber {
    if (this.text.charCodeAt(this.at) < 97) return this.number(); // before "a"
    for (const [word, value] of words) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    this.fail();
  }

  end(): void {
    this.skip();
    if (this.at < this.text.length) this.fail();
  }

  private array(): Value[] {
    const values: Value[] = [];
    this.at++;
    if (this.takes("]")) return values;
    do values.push(this.value());
    while (this.takes(","));
    this.need("]");
    return values;
  }

  private object(): Members {
    const members = new Members();
    this.at++;
    if (this.takes("}")) return members;
    do {
      this.skip();
      members.names.push(this.string());
      this.need(":");
      members.values.push(this.value());
    } while (this.takes(","));
    this.need("}");
    return members;
  }

  private string(): string {
    if (this.text[this.at] !== '"') this.fail();
    let end = this.at;
    do {
      end = this.text.indexOf('"', end + 1);
      if (end < 0) this.fail();
    } while (this.escaped(end));
    const literal = this.text.slice(this.at, end + 1);
    this.at = end + 1;
    return literal.includes("\\") ? (JSON.parse(literal) as string) : literal.slice(1, -1);
  }

  /** Reports whether an odd number of backslashes is before a position. */
  private escaped(position: number): boolean {
    let first = position;
    while (this.text[first - 1] === "\\") first--;
    return (position - first) % 2 === 1;
  }

  private number(): number | ExactNumber {
    number.lastIndex = this.at;
    const text = number.exec(this.text)?.[0];
    if (text === undefined || text === "") this.fail();
    this.at += text.length;
    const value = Number(text);
    return String(value) === text ? value : new ExactNumber(text);
  }

  private skip(): void {
    if (this.text.charCodeAt(this.at) > 32) return;
    space.lastIndex = this.at;
    space.exec(this.text);
    this.at = space.lastIndex;
  }

  private takes(character: string): boolean {
    this.skip();
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private need(character: string): void {
    if (!this.takes(character)) this.fail();
  }

  private fail(): never {
    throw new SyntaxError(`not JSON at position ${this.at}`);
  }
}
