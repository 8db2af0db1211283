import { toBase64 } from "../shared/base64";
import type { Fields } from "./options";
import { doubleQuoted, pythonText, pythonValue } from "./quoting";
import { inlinesFiles, localName, needs, readable, type Snapshot } from "./snapshot";

/** Returns a program that runs with the Python client what is on the page. */
export function pythonProgram(snapshot: Snapshot): string {
  const parts = ["script", ...options(snapshot.fields)];
  const files = fileItems(snapshot);
  if (files.length > 0)
    parts.push(`files={\n${files.map((item) => `                ${item},\n`).join("")}            }`);
  const call = parts.length === 1 ? "script" : `\n            ${parts.join(",\n            ")},\n        `;
  return `${needs(snapshot, "#")}${imports(snapshot)}
script = ${pythonText(snapshot.script)}

with Client(${doubleQuoted(snapshot.origin)}) as client:
    try:
        done = client.run(${call})
    except JobFailed as error:
        raise SystemExit(f"{error.code}: {error.message}") from None
    print(done.stdout, end="")
    print(done.result)
`;
}

function options(fields: Fields): string[] {
  const parts: string[] = [];
  if (fields.entry !== undefined) parts.push(`entry=${doubleQuoted(fields.entry)}`);
  if (fields.environment !== undefined) parts.push(`environment=${doubleQuoted(fields.environment)}`);
  if (fields.args !== undefined) parts.push(`args=${pythonValue(fields.args)}`);
  if (fields.stdin !== undefined) parts.push(`stdin=${pythonText(fields.stdin)}`);
  for (const name of ["env", "labels", "limits"] as const) {
    const value = fields[name];
    if (value !== undefined) parts.push(`${name}=${pythonValue(JSON.stringify(value))}`);
  }
  return parts;
}

function imports(snapshot: Snapshot): string {
  const inline = inlinesFiles(snapshot);
  const lines = [];
  if (inline && snapshot.files.some((file) => readable(file) === undefined)) {
    lines.push("from base64 import b64decode");
  }
  if (!inline) lines.push("from pathlib import Path");
  if (lines.length > 0) lines.push("");
  lines.push("from cellblock import Client, JobFailed  # pip install ./clients/python");
  return `${lines.join("\n")}\n`;
}

function fileItems(snapshot: Snapshot): string[] {
  return snapshot.files.map((file) => {
    const path = doubleQuoted(file.path);
    if (!inlinesFiles(snapshot)) return `${path}: Path(${doubleQuoted(localName(file))})`;
    const content = readable(file);
    if (content === undefined) return `${path}: b64decode(${doubleQuoted(toBase64(file.bytes))})`;
    return `${path}: ${doubleQuoted(content)}`;
  });
}
