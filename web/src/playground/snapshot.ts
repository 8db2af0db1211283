// What is on the page, for the generators of copied text.
import { type InputFile, toText, totalBytes } from "./files";
import type { Fields } from "./options";
import { visibleJSON } from "./quoting";

/** All that a run needs. */
export interface Snapshot {
  /** The address of the service, without a slash at the end. */
  origin: string;
  /** Whether requests need a token. Copied text refers to the variable CELLBLOCK_TOKEN, never to the token. */
  token: boolean;
  script: string;
  fields: Fields;
  files: readonly InputFile[];
}

/** Files of up to this many bytes are in the copied text; of larger ones it has the names. */
const mostInline = 8 << 10;

/** Reports whether the content of the files is in the copied text. */
export function inlinesFiles(snapshot: Snapshot): boolean {
  return totalBytes(snapshot.files) <= mostInline;
}

/** The name of a file on the user's machine: without the folders that it has for the script. */
export function localName(file: InputFile): string {
  return file.path.split("/").at(-1) ?? file.path;
}

/** Returns a comment with the files that must be there, and with the variable of the token; comments begin with mark. */
export function needs(snapshot: Snapshot, mark: string): string {
  let text = "";
  if (snapshot.token) text += `${mark} CELLBLOCK_TOKEN in the environment is the token of the service.\n`;
  if (snapshot.files.length > 0 && !inlinesFiles(snapshot)) {
    const names = snapshot.files.map((file) => visibleJSON(JSON.stringify(localName(file)))).join(", ");
    text += `${mark} Run it in the folder that has ${names}.\n`;
  }
  return text;
}

/** Returns a file's content as text, if that shows it whole. */
export function readable(file: InputFile): string | undefined {
  const text = toText(file.bytes);
  return text?.includes("\0") ? undefined : text;
}
