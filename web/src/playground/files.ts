// The files that go with a run. Their content is in memory, so that a file that changes or disappears on the disk
// changes nothing.

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
    return `Files have at most ${formatBytes(mostBytes)} together; with ${file.path} they would have ${formatBytes(total)}.`;
  }
  return "";
}

export function totalBytes(files: readonly InputFile[]): number {
  return files.reduce((sum, file) => sum + file.bytes.length, 0);
}

/** Returns a number of bytes for people, such as "1.2 MiB". */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1 << 20) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / (1 << 20)).toFixed(1)} MiB`;
}

/** Returns bytes in base64 with padding. */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let from = 0; from < bytes.length; from += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(from, from + 0x8000));
  }
  return btoa(binary);
}

/** Returns the text that bytes are in UTF-8; undefined if they are none, or have a byte order mark, which a decoder
 * leaves out. */
export function toText(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
