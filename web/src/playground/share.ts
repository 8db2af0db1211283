// A script with its options as the fragment of a URL, which browsers do not send to the server.
import { fromBase64, toBase64 } from "../shared/base64";
import { compact, type Options, parseOptions } from "./options";

/** What a link has. */
export interface Shared {
  script: string;
  options: Options;
}

const prefix = "#s1=";
/** Longer links break in chats and mails, and a browser cuts them at two million. */
const mostCharacters = 100_000;
/** A small fragment could otherwise become gigabytes. */
const mostBytes = 2 << 20;

/** Why a link cannot be made or opened, as a sentence. */
export class LinkError extends Error {}

/** Returns the fragment of a link, with "#". Throws a LinkError if it would be too long. */
export async function fragmentOf({ script, options }: Shared): Promise<string> {
  const text = JSON.stringify({ script, ...compact(options) });
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const fragment = prefix + toBase64URL(bytes);
  if (fragment.length > mostCharacters) {
    throw new LinkError(
      `The link would have ${fragment.length.toLocaleString("en")} characters, and ${mostCharacters.toLocaleString("en")} are the most. Shorten the script or the standard input.`,
    );
  }
  return fragment;
}

/** Returns what a fragment has; undefined if it is no link of this page. Throws a LinkError if it is damaged. */
export async function openFragment(fragment: string): Promise<Shared | undefined> {
  if (!/^#s\d+=/.test(fragment)) return undefined;
  if (!fragment.startsWith(prefix)) {
    throw new LinkError("The link was made by a later version of this page.");
  }
  if (fragment.length > mostCharacters) throw new LinkError("The link is too long to be one of this page.");
  let data: unknown;
  try {
    data = JSON.parse(await inflate(fromBase64URL(fragment.slice(prefix.length))));
  } catch (failure) {
    if (failure instanceof LinkError) throw failure;
    throw new LinkError("The link is damaged: a part of it may be missing. Ask for it again.");
  }
  const options = parseOptions(data);
  const script = (data as { script?: unknown } | null)?.script;
  if (options === undefined || typeof script !== "string") {
    throw new LinkError("The link is damaged: it does not have a script and its options.");
  }
  // As the editor has line ends: the page would otherwise take the script for an edited one.
  return { script: script.replace(/\r\n?/g, "\n"), options };
}

async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > mostBytes) {
      await reader.cancel().catch(() => undefined);
      throw new LinkError("The link is too large: its content has more than 2 MiB.");
    }
    text += decoder.decode(value, { stream: true });
  }
}

function toBase64URL(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64URL(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new Error("not base64url");
  return fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
}
