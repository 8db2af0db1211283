// Literals of shells and languages for any text. A literal shows no character that would change how it is read:
// controls and bidirectional formatting are escaped.
import { toBase64 } from "../shared/base64";
import { unseen } from "../shared/text";

// Characters that a terminal or an editor would obey or hide. Line feed and tab are not among them.
const hidden = new RegExp(unseen.source, "gu");

/** Reports whether text has characters that are not seen. */
function hasHidden(text: string): boolean {
  return text.search(hidden) >= 0;
}

/** Replaces characters that are not seen by escapes of 4 or 8 hexadecimal digits. */
function escapeHidden(text: string, astral: (code: number) => string): string {
  return text.replace(hidden, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? astral(code) : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

function pair(code: number): string {
  const rest = code - 0x10000;
  return [0xd800 + (rest >> 10), 0xdc00 + (rest & 0x3ff)].map((unit) => `\\u${unit.toString(16)}`).join("");
}

function wide(code: number): string {
  return `\\U${code.toString(16).padStart(8, "0")}`;
}

/** Returns JSON text without characters that are not seen; in JSON they can only be in strings. */
export function visibleJSON(json: string): string {
  return escapeHidden(json, pair);
}

/** Returns a word of a POSIX shell. */
export function shellWord(text: string): string {
  if (/^[A-Za-z0-9_@%+:,./-]+$/.test(text)) return text;
  if (!hasHidden(text)) return `'${text.replaceAll("'", "'\\''")}'`;
  // bash, zsh: $'…' with the bytes of the characters that are not seen.
  const escaped = text.replaceAll("\\", "\\\\").replaceAll("'", "\\'").replace(hidden, bytesOf);
  return `$'${escaped.replaceAll("\n", "\\n").replaceAll("\t", "\\t")}'`;
}

function bytesOf(character: string): string {
  return [...new TextEncoder().encode(character)]
    .map((byte) => `\\${byte.toString(8).padStart(3, "0")}`)
    .join("");
}

/** Returns a word that stands for a file with this text (bash, zsh). Its content may have any size. */
export function shellFile(text: string): string {
  if (hasHidden(text)) return shellBytes(new TextEncoder().encode(text));
  if (text.endsWith("\n")) return `<(cat ${heredoc(text, "END")})`;
  return `<(printf %s ${shellWord(text)})`;
}

/** Returns a word that stands for a file with these bytes (bash, zsh). */
export function shellBytes(bytes: Uint8Array): string {
  const encoded = toBase64(bytes);
  if (encoded.length <= 76) return `<(base64 -d <<<${encoded === "" ? "''" : encoded})`;
  const lines = encoded.match(/.{1,76}/g) ?? [];
  return `<(base64 -d ${heredoc(`${lines.join("\n")}\n`, "BASE64")})`;
}

/** Returns a here-document, up to the line of its end marker. The text must end with a line feed. */
export function heredoc(text: string, marker: string): string {
  let end = marker;
  const lines = new Set(text.split("\n"));
  while (lines.has(end)) end += "_";
  return `<<'${end}'\n${text}${end}\n`;
}

/** Reports whether a here-document can carry the text as it is. */
export function fitsHeredoc(text: string): boolean {
  return text.endsWith("\n") && !hasHidden(text);
}

/** Returns a string literal on one line, which Python and Go read alike. */
export function doubleQuoted(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', '\\"')
    .replaceAll("\n", "\\n")
    .replaceAll("\t", "\\t");
  return `"${escapeHidden(escaped, wide)}"`;
}

/** Returns a string literal of Python; one with several lines has them as they are. */
export function pythonText(text: string): string {
  if (!text.includes("\n")) return doubleQuoted(text);
  // Of quotes in a row, and of one at the end, the last must not touch the next one.
  const escaped = text.replaceAll("\\", "\\\\").replace(/"(?="|$)/g, '\\"');
  return `"""\\\n${escapeHidden(escaped, wide)}"""`;
}

/** Returns a string literal of Go; one with several lines has them as they are, if it can. */
export function goText(text: string): string {
  if (text.includes("\n") && !text.includes("`") && !hasHidden(text)) return `\`${text}\``;
  const lines = text.split(/(?<=\n)/);
  return lines.length === 0 ? '""' : lines.map(doubleQuoted).join(" +\n\t");
}

const token = /\s*("(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[[\]{},:])/y;
const words: Record<string, string> = { true: "True", false: "False", null: "None", ",": ", ", ":": ": " };

/** Returns JSON text, which must be valid, as a literal of Python. Numbers keep all their digits. */
export function pythonValue(json: string): string {
  let literal = "";
  token.lastIndex = 0;
  for (let match = token.exec(json); match !== null; match = token.exec(json)) {
    const text = match[1] ?? "";
    literal += text.startsWith('"') ? doubleQuoted(JSON.parse(text) as string) : (words[text] ?? text);
  }
  return literal;
}
