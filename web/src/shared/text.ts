// Text of jobs is data: characters that a terminal or a browser would obey are shown as symbols.

/** A part of a text: plain, or a character that is shown as a symbol with its name. */
export interface Part {
  text: string;
  /** What the symbol stands for, such as "U+202E right-to-left override"; undefined for plain text. */
  name?: string;
  /** The symbol in letters that every font has, such as "ESC"; with a name only. */
  short?: string;
}

const abbreviations =
  "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(
    " ",
  );

const names: Record<number, string> = {
  0: "null",
  7: "bell",
  8: "backspace",
  13: "carriage return",
  27: "escape",
  127: "delete",
  173: "soft hyphen",
  1564: "Arabic letter mark",
  4447: "Hangul choseong filler",
  4448: "Hangul jungseong filler",
  6158: "Mongolian vowel separator",
  8203: "zero width space",
  8206: "left-to-right mark",
  8207: "right-to-left mark",
  8232: "line separator",
  8233: "paragraph separator",
  8234: "left-to-right embedding",
  8235: "right-to-left embedding",
  8236: "pop directional formatting",
  8237: "left-to-right override",
  8238: "right-to-left override",
  8288: "word joiner",
  8294: "left-to-right isolate",
  8295: "right-to-left isolate",
  8296: "first strong isolate",
  8297: "pop directional isolate",
  12644: "Hangul filler",
  65279: "byte order mark",
  65440: "halfwidth Hangul filler",
  65529: "interlinear annotation anchor",
  65530: "interlinear annotation separator",
  65531: "interlinear annotation terminator",
};

/** Controls but tab and line feed; soft hyphen; marks, embeddings, overrides and isolates of the bidirectional algorithm
 * (Unicode Standard Annex 9); characters without a width; tags and other format characters outside of the first plane.
 * Zero width joiner and non-joiner stay: scripts and emoji need them. */
export const unseen =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e007f}]/u;

// And more than eight combining marks on one character, which would reach over other lines.
const special = new RegExp(`${unseen.source}|(?<=\\p{M}{8})\\p{M}+`, "gu");

/** How many characters of a text get a name each; the others are symbols only, which keeps the page fast. */
const mostNamed = 2_000;

/** Returns the text in parts. Joined, they have one symbol for each special character; a carriage return before a line
 * feed is left out, as it is a line's end. */
export function visible(text: string): Part[] {
  const parts: Part[] = [];
  let plain = "";
  let from = 0;
  let named = 0;
  const source = text.replaceAll("\r\n", "\n");
  for (const match of source.matchAll(special)) {
    plain += source.slice(from, match.index);
    from = match.index + match[0].length;
    const symbol = symbolOf(match[0]);
    if (named >= mostNamed) {
      plain += symbol;
      continue;
    }
    named++;
    if (plain !== "") parts.push({ text: plain });
    plain = "";
    parts.push({ text: symbol, name: nameOf(match[0]), short: shortOf(match[0], symbol) });
  }
  plain += source.slice(from);
  if (plain !== "") parts.push({ text: plain });
  return parts;
}

/** Returns the text with symbols in place of special characters, for places that take plain text only. */
export function visibleText(text: string): string {
  return visible(text)
    .map((part) => part.text)
    .join("");
}

/** Returns the symbol of a match: one special character, or combining marks. */
function symbolOf(match: string): string {
  const code = match.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code); // U+2400: pictures of control characters
  if (code === 0x7f) return "\u2421";
  return isOne(match, code) ? `[U+${hex(code)}]` : `[${match.length} marks]`;
}

function nameOf(match: string): string {
  const code = match.codePointAt(0) ?? 0;
  if (!isOne(match, code)) return "more combining marks on one character";
  return `U+${hex(code)} ${names[code] ?? "control character or mark"}`;
}

function shortOf(match: string, symbol: string): string {
  const code = match.codePointAt(0) ?? 0;
  return abbreviations[code] ?? (code === 0x7f ? "DEL" : symbol.slice(1, -1));
}

function isOne(match: string, code: number): boolean {
  return match.length === (code > 0xffff ? 2 : 1);
}

function hex(code: number): string {
  return code.toString(16).toUpperCase().padStart(4, "0");
}
