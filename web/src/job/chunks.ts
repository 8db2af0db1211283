// Long text in parts, which the page lays out one by one.

/** A part has at most about this many characters, and lines. */
const mostCharacters = 16_384;
const mostLines = 1_000;

/** The parts of a text that grows at its end. */
export class Chunks {
  private text = "";
  private complete: string[] = [];
  /** Where the part that is not complete begins. */
  private from = 0;

  /** Returns the parts of the text. If it continues the text of the call before, complete parts are the same again. */
  of(text: string): string[] {
    if (!text.startsWith(this.text)) {
      this.complete = [];
      this.from = 0;
    }
    this.text = text;
    for (;;) {
      const end = endOfChunk(text, this.from);
      if (end < 0) break;
      this.complete.push(text.slice(this.from, end));
      this.from = end;
    }
    const rest = text.slice(this.from);
    return rest === "" ? this.complete : [...this.complete, rest];
  }
}

/** Returns where a complete part ends that begins at a position; -1 if the text is too short for one. Parts end at a
 * line's end, or within a line that is longer than a part. */
function endOfChunk(text: string, from: number): number {
  let end = -1;
  for (let lines = 0; lines < mostLines; lines++) {
    const next = text.indexOf("\n", end < 0 ? from : end) + 1;
    if (next === 0 || next - from > mostCharacters) {
      if (text.length - from <= mostCharacters) return -1;
      return end < 0 ? within(text, from + mostCharacters) : end;
    }
    end = next;
  }
  return end;
}

/** Returns a position at or just before another that parts no pair of surrogates or of carriage return and line feed,
 * and no marks from their character. */
function within(text: string, position: number): number {
  for (let at = position; at > position - 64; at--) {
    if (!/^(?:[\udc00-\udfff\n]|\p{M}|\u200d)/u.test(text.slice(at, at + 2)) && text[at - 1] !== "\u200d")
      return at;
  }
  return position;
}
