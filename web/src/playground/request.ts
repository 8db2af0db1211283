// The body of POST /execute.
import { toBase64 } from "../shared/base64";
import { type InputFile, totalBytes } from "./files";
import type { Fields } from "./options";

/** From this many bytes of files on, the request is a form: base64 costs a third. */
const formThreshold = 1 << 20;
/** The service's bound on a request in JSON. */
const mostJSON = 8 << 20;

/** Characters that browsers escape in a form's file name, and the service does not. */
const notInForms = /["\r\n]/;

/** Returns the body of a request: JSON with the files in it, or a form if they are large. */
export function bodyOf(script: string, fields: Fields, files: readonly InputFile[]): Blob | FormData {
  const formable = !files.some((file) => notInForms.test(file.path));
  if (totalBytes(files) >= formThreshold && formable) return formOf(script, fields, files);
  const body = new Blob([jsonOf(script, fields, files)], { type: "application/json" });
  return body.size > mostJSON && formable ? formOf(script, fields, files) : body;
}

/** Returns the fields as members of a JSON object: their names, and their JSON. */
export function membersOf(fields: Fields): [name: string, json: string][] {
  const { args, ...others } = fields;
  const members = Object.entries(others).map(([name, value]): [string, string] => [
    name,
    JSON.stringify(value),
  ]);
  return args === undefined ? members : [...members, ["args", args]]; // args are JSON already
}

/** Returns the fields as parts of a form: their names, and their text. */
export function partsOf(fields: Fields): [name: string, text: string][] {
  return Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
}

function jsonOf(script: string, fields: Fields, files: readonly InputFile[]): string {
  const parts = [`"script":${JSON.stringify(script)}`, '"async":true'];
  for (const [name, json] of membersOf(fields)) parts.push(`"${name}":${json}`);
  if (files.length > 0) {
    const inline = files.map((file) => ({ path: file.path, content_base64: toBase64(file.bytes) }));
    parts.push(`"files":${JSON.stringify(inline)}`);
  }
  return `{${parts.join(",")}}`;
}

function formOf(script: string, fields: Fields, files: readonly InputFile[]): FormData {
  const form = new FormData();
  // As blobs, since a browser changes line ends of text in forms.
  const set = (name: string, text: string) => form.append(name, new Blob([text]), "");
  set("script", script);
  set("async", "true");
  for (const [name, text] of partsOf(fields)) set(name, text);
  for (const file of files) form.append("files", new Blob([file.bytes]), file.path);
  return form;
}

/** Returns a key that makes a repeated request the same job. */
export function idempotencyKey(): string {
  // Not crypto.randomUUID(), which browsers have only on pages with TLS or of this machine.
  return toBase64(crypto.getRandomValues(new Uint8Array(18)));
}
