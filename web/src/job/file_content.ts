// The content of a job's files, and URLs of pictures.

import { ApiError, type Schemas, send } from "../shared/api";
import { fromBase64 } from "../shared/base64";

export type OutputFile = Schemas["OutputFile"];

/** Pictures that <img> shows and that are no documents: a URL of one that is opened by itself runs no script. */
const rasters = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"];
export const svg = "image/svg+xml";

/** Reports whether the page can show a media type as a picture. */
export function isPicture(type: string): boolean {
  return type === svg || rasters.includes(type);
}

/** Returns the content of a file. Throws an ApiError, or an AbortError. */
export async function contentOf(file: OutputFile, signal?: AbortSignal): Promise<Blob> {
  if (file.content_base64 !== undefined) {
    return new Blob([fromBase64(file.content_base64)]);
  }
  const response = await send(file.url, signal === undefined ? {} : { signal });
  return response.blob();
}

/** Returns a URL of a picture for <img>, which the caller passes to release() later. */
export async function pictureURL(content: Blob, type: string): Promise<string> {
  if (!rasters.includes(type)) {
    // A document at a data: URL has an origin of its own, also if a user opens the picture in a tab; at a blob: URL it
    // would have ours.
    return dataURL(content.slice(0, content.size, svg));
  }
  return URL.createObjectURL(content.slice(0, content.size, type));
}

/** Releases a URL of pictureURL. */
export function release(url: string): void {
  if (url.startsWith("blob:")) URL.revokeObjectURL(url);
}

function dataURL(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Saves a file in the user's folder for downloads. Throws an ApiError. */
export async function download(file: OutputFile): Promise<void> {
  const content = await contentOf(file);
  // Another type would be shown if the user opened the URL, in our origin.
  const url = URL.createObjectURL(content.slice(0, content.size, "application/octet-stream"));
  const link = document.createElement("a");
  link.href = url;
  link.download = safeName(file.name);
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser reads it after the click
}

/** Returns the last part of a name, without what a file system or a reader would take for something else. */
export function safeName(name: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? "";
  const safe = last
    .replace(/[\p{C}\p{Zl}\p{Zp}<>:"|?*%]/gu, "_")
    .replace(/\s+/gu, " ")
    .replace(/^[. ]+|[. ]+$/g, "");
  if (safe.length > 150) {
    const extension = /\.[A-Za-z0-9]{1,10}$/.exec(safe)?.[0] ?? "";
    return Array.from(safe).slice(0, 120).join("") + extension;
  }
  return safe === "" ? "file" : safe;
}

/** Returns why a content could not be read, for people. */
export function reasonOf(failure: unknown): string {
  if (!(failure instanceof ApiError)) return "The content cannot be read.";
  if (failure.status === 404) return "The file has expired: files are kept as long as the job's result.";
  return failure.message;
}
