import { type LimitName, limitNames } from "./options";
import { fitsHeredoc, heredoc, shellBytes, shellFile, shellWord, visibleJSON } from "./quoting";
import { inlinesFiles, localName, needs, type Snapshot } from "./snapshot";

const limitFlags: Record<LimitName, string> = {
  wall_seconds: "wall",
  cpu_seconds: "cpu",
  memory_mb: "memory",
  processes: "processes",
  output_bytes: "output",
};

/** Returns a command of bash that runs with the command line what is on the page. */
export function cliCommand(snapshot: Snapshot): string {
  const { fields, script } = snapshot;
  const piped = fitsHeredoc(script);
  const lines = [
    `cellblock run ${piped ? "-" : shellFile(script)} --url ${shellWord(snapshot.origin)} --entry ${fields.entry ?? "main"}`,
  ];
  if (fields.environment !== undefined) lines.push(`--environment=${shellWord(fields.environment)}`);
  if (fields.args !== undefined && fields.entry !== "script") lines.push(namedArgs(fields.args));
  if (fields.stdin !== undefined) lines.push(`--stdin ${shellFile(fields.stdin)}`);
  for (const [name, value] of Object.entries(fields.env ?? {})) {
    lines.push(`--env ${shellWord(`${name}=${value}`)}`);
  }
  for (const [key, value] of Object.entries(fields.labels ?? {})) {
    lines.push(`--label ${shellWord(`${key}=${value}`)}`);
  }
  for (const name of limitNames) {
    const value = fields.limits?.[name];
    if (value !== undefined) lines.push(`--limit ${limitFlags[name]}=${value}`);
  }
  lines.push(...files(snapshot));
  if (fields.args !== undefined && fields.entry === "script") {
    lines.push(`-- ${(JSON.parse(fields.args) as string[]).map(argument).join(" ")}`);
  }
  const command = lines.join(" \\\n  ");
  return `${needs(snapshot, "#")}${impossible(snapshot)}${command}${piped ? ` ${heredoc(script, "PY")}` : "\n"}`;
}

function namedArgs(json: string): string {
  return json.length < 1000 ? `--args-json ${shellWord(json)}` : `--args-json ${shellFile(json)}`;
}

function argument(text: string): string {
  return text === "" ? "''" : shellWord(text);
}

function files(snapshot: Snapshot): string[] {
  return snapshot.files.map((file) => {
    if (inlinesFiles(snapshot)) return `--file ${shellBytes(file.bytes)}=${shellWord(file.path)}`;
    const name = localName(file);
    const source = /^(job:|file:|-)/.test(name) ? `./${name}` : name;
    return `--file ${shellWord(source === file.path && !name.includes("=") ? name : `${source}=${file.path}`)}`;
  });
}

/** Returns a comment if the command line cannot name a file. */
function impossible(snapshot: Snapshot): string {
  const file = snapshot.files.find((each) => each.path.includes("="));
  if (file === undefined) return "";
  return `# --file cannot have ${visibleJSON(JSON.stringify(file.path))} as a file's name for the script, since it has a "=".\n`;
}
