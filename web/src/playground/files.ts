// The files that go with a run. Their content is in memory, so that a file that changes or disappears on the disk
// changes nothing.
import { bytes } from "../shared/format";

/** A file for the script. */
export interface InputFile {
  /** Its path in the working directory. */
  path: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** Whether it came with an example, so that the next example takes it away. */
  ofExample?: boolean;
}

/** The service's bounds: see ExecuteRequest in the contract. */
export const mostFiles = 64;
export const mostBytes = 16 << 20;

/** Adds files; one with the path of another replaces it. Returns the list, and the sentence about what was not added. */
export function addFiles(
  files: readonly InputFile[],
  added: readonly InputFile[],
): { files: InputFile[]; problem: string } {
  let list = [...files];
  let problem = "";
  for (const file of added) {
    const next = [...list.filter((each) => each.path !== file.path), file];
    const wrong = problemOf(next, file);
    if (wrong === "") list = next;
    else problem ||= wrong;
  }
  return { files: list, problem };
}

function problemOf(files: readonly InputFile[], file: InputFile): string {
  if (new TextEncoder().encode(file.path).length > 255)
    return `The name of ${file.path} has more than 255 bytes.`;
  if (files.length > mostFiles) return `A run takes at most ${mostFiles} files; ${file.path} was not added.`;
  const total = totalBytes(files);
  if (total > mostBytes) {
    return `Files have at most ${bytes(mostBytes)} together; with ${file.path} they would have ${bytes(total)}.`;
  }
  return "";
}

export function totalBytes(files: readonly InputFile[]): number {
  return files.reduce((sum, file) => sum + file.bytes.length, 0);
}

/** Returns the text that bytes are in UTF-8; undefined if they are none, or have a byte order mark, which a decoder
 * leaves out. */
export function toText(content: Uint8Array): string | undefined {
  if (content[0] === 0xef && content[1] === 0xbb && content[2] === 0xbf) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    return undefined;
  }
}
