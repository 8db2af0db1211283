import { toBase64 } from "../shared/base64";
import { heredoc, shellFile, shellWord, visibleJSON } from "./quoting";
import { membersOf, partsOf } from "./request";
import { inlinesFiles, localName, needs, readable, type Snapshot } from "./snapshot";

/** Returns a command of bash that runs with curl what is on the page. */
export function curlCommand(snapshot: Snapshot): string {
  const lines = [`curl -sS ${shellWord(`${snapshot.origin}/execute`)}`];
  if (snapshot.token) lines.push('-H "Authorization: Bearer $CELLBLOCK_TOKEN"');
  if (inlinesFiles(snapshot)) {
    lines.push("-H 'Content-Type: application/json'", `--data-binary @- ${heredoc(json(snapshot), "JSON")}`);
  } else lines.push(...form(snapshot));
  return `${needs(snapshot, "#")}${lines.join(" \\\n  ").trimEnd()}\n`;
}

/** Returns the request with a line for each field. */
function json(snapshot: Snapshot): string {
  const parts = [`"script": ${JSON.stringify(snapshot.script)}`];
  // Only args, as they were typed, can have line ends.
  for (const [name, json] of membersOf(snapshot.fields)) {
    parts.push(`"${name}": ${json.replace(/\s*\n\s*/g, " ")}`);
  }
  if (snapshot.files.length > 0) {
    const files = snapshot.files.map((file) => {
      const content = readable(file);
      const inline = content === undefined ? { content_base64: toBase64(file.bytes) } : { content };
      return `    ${JSON.stringify({ path: file.path, ...inline })}`;
    });
    parts.push(`"files": [\n${files.join(",\n")}\n  ]`);
  }
  return visibleJSON(`{\n  ${parts.join(",\n  ")}\n}\n`);
}

/** Returns the options for a form, which names the files. */
function form(snapshot: Snapshot): string[] {
  const options = [textPart("script", snapshot.script)];
  for (const [name, text] of partsOf(snapshot.fields)) options.push(textPart(name, text));
  // Otherwise curl sends %22 for a quote, which the service takes as it is.
  if (snapshot.files.some((file) => file.path.includes('"'))) options.push("--form-escape");
  for (const file of snapshot.files) {
    const source = `@${formQuoted(localName(file))}`;
    options.push(`--form ${shellWord(`files=${source};filename=${formQuoted(file.path)}`)}`);
  }
  return options;
}

/** Returns an option for a field. Long text goes through a file, since an argument may have 128 KiB at most. */
function textPart(name: string, text: string): string {
  if (text.length < 1000 && !text.includes("\n")) return `--form-string ${shellWord(`${name}=${text}`)}`;
  return `--form '${name}=<'${shellFile(text)}`;
}

/** Returns a name in curl's quotes, in which a comma or a semicolon is no separator. */
function formQuoted(name: string): string {
  return `"${name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
