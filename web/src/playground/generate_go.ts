import { toBase64 } from "../shared/base64";
import type { Fields } from "./options";
import { doubleQuoted, goText } from "./quoting";
import { inlinesFiles, localName, needs, readable, type Snapshot } from "./snapshot";

/** Returns a program that runs with the Go client what is on the page. */
export function goProgram(snapshot: Snapshot): string {
  const files = fileItems(snapshot);
  const request = requestFields(snapshot.fields);
  if (files.length > 0) {
    request.push(`Files: []client.File{\n${files.map((file) => `\t\t\t${file},\n`).join("")}\t\t}`);
  }
  const fields = ["Script: script", ...request].map((field) => `\t\t${field},\n`).join("");
  return `${needs(snapshot, "//")}package main

import (
${imports(snapshot)}
	"cellblock/client"
)

const script = ${goText(snapshot.script)}

func main() {
	c, err := client.New(${doubleQuoted(snapshot.origin)})
	check(err)
	defer c.Close()
	job, err := c.Run(context.Background(), client.Request{
${fields}	})
	if job != nil && job.Stdout != nil {
		fmt.Print(*job.Stdout)
	}
	check(err)
	fmt.Println(string(job.Result))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
${helpers(snapshot)}`;
}

function imports(snapshot: Snapshot): string {
  const { fields } = snapshot;
  const names = ["context", "fmt", "os"];
  if (decodes(snapshot)) names.push("encoding/base64");
  if (fields.args !== undefined) names.push("encoding/json");
  if (fields.limits?.wall_seconds !== undefined || fields.limits?.cpu_seconds !== undefined)
    names.push("time");
  return names
    .sort()
    .map((name) => `\t"${name}"\n`)
    .join("");
}

/** Reports whether the program has files in base64. */
function decodes(snapshot: Snapshot): boolean {
  return inlinesFiles(snapshot) && snapshot.files.some((file) => readable(file) === undefined);
}

function helpers(snapshot: Snapshot): string {
  if (!inlinesFiles(snapshot)) {
    return `
func read(name string) []byte {
	content, err := os.ReadFile(name)
	check(err)
	return content
}
`;
  }
  if (!decodes(snapshot)) return "";
  return `
func decode(text string) []byte {
	content, err := base64.StdEncoding.DecodeString(text)
	check(err)
	return content
}
`;
}

function requestFields(fields: Fields): string[] {
  const parts: string[] = [];
  if (fields.entry !== undefined) parts.push(`Entry: ${doubleQuoted(fields.entry)}`);
  if (fields.environment !== undefined) parts.push(`Environment: ${doubleQuoted(fields.environment)}`);
  if (fields.args !== undefined) parts.push(`Args: json.RawMessage(${goText(fields.args)})`);
  if (fields.stdin !== undefined) parts.push(`Stdin: ${goText(fields.stdin)}`);
  if (fields.env !== undefined) parts.push(`Env: ${goMap(fields.env)}`);
  if (fields.labels !== undefined) parts.push(`Labels: ${goMap(fields.labels)}`);
  if (fields.limits !== undefined) parts.push(`Limits: client.Limits{${goLimits(fields.limits)}}`);
  return parts;
}

function goMap(values: Record<string, string>): string {
  const items = Object.entries(values).map(
    ([name, value]) => `${doubleQuoted(name)}: ${doubleQuoted(value)}`,
  );
  return `map[string]string{${items.join(", ")}}`;
}

function goLimits(limits: NonNullable<Fields["limits"]>): string {
  const parts: string[] = [];
  if (limits.wall_seconds !== undefined) parts.push(`Wall: ${seconds(limits.wall_seconds)}`);
  if (limits.cpu_seconds !== undefined) parts.push(`CPU: ${seconds(limits.cpu_seconds)}`);
  if (limits.memory_mb !== undefined) parts.push(`MemoryMB: ${limits.memory_mb}`);
  if (limits.processes !== undefined) parts.push(`Processes: ${limits.processes}`);
  if (limits.output_bytes !== undefined) parts.push(`OutputBytes: ${limits.output_bytes}`);
  return parts.join(", ");
}

function seconds(value: number): string {
  if (Number.isInteger(value)) return `${value} * time.Second`;
  const ms = value * 1000;
  return Number.isInteger(ms) ? `${ms} * time.Millisecond` : `${Math.round(value * 1e9)} * time.Nanosecond`;
}

function fileItems(snapshot: Snapshot): string[] {
  return snapshot.files.map((file) => {
    const path = doubleQuoted(file.path);
    if (!inlinesFiles(snapshot)) return `{Path: ${path}, Content: read(${doubleQuoted(localName(file))})}`;
    const content = readable(file);
    if (content === undefined)
      return `{Path: ${path}, Content: decode(${doubleQuoted(toBase64(file.bytes))})}`;
    return `{Path: ${path}, Content: []byte(${doubleQuoted(content)})}`;
  });
}
