import assert from "node:assert/strict";
import { test } from "node:test";
import type { InputFile } from "./files";
import { cliCommand } from "./generate_cli";
import { curlCommand } from "./generate_curl";
import { goProgram } from "./generate_go";
import { pythonProgram } from "./generate_python";
import type { Snapshot } from "./snapshot";

// test/web runs what these return; here is what it is like.

function snapshot(change: Partial<Snapshot> = {}): Snapshot {
  return {
    origin: "http://127.0.0.1:8080",
    token: false,
    script: "def main():\n    return 1\n",
    fields: {},
    files: [],
    ...change,
  };
}

function file(path: string, size = 3): InputFile {
  return { path, bytes: new Uint8Array(size) };
}

test("the plainest texts", () => {
  assert.equal(
    curlCommand(snapshot()),
    `curl -sS http://127.0.0.1:8080/execute \\
  -H 'Content-Type: application/json' \\
  --data-binary @- <<'JSON'
{
  "script": "def main():\\n    return 1\\n"
}
JSON
`,
  );
  assert.equal(
    cliCommand(snapshot()),
    `cellblock run - --url http://127.0.0.1:8080 --entry main <<'PY'
def main():
    return 1
PY
`,
  );
  assert.equal(
    pythonProgram(snapshot()),
    `from cellblock import Client, JobFailed  # pip install ./clients/python

script = """\\
def main():
    return 1
"""

with Client("http://127.0.0.1:8080") as client:
    try:
        done = client.run(script)
    except JobFailed as error:
        raise SystemExit(f"{error.code}: {error.message}") from None
    print(done.stdout, end="")
    print(done.result)
`,
  );
  assert.match(goProgram(snapshot()), /import \(\n\t"context"\n\t"fmt"\n\t"os"\n\n\t"cellblock\/client"\n\)/);
});

test("the token is a variable", () => {
  for (const generate of [curlCommand, cliCommand, pythonProgram, goProgram]) {
    assert.match(generate(snapshot({ token: true })), /CELLBLOCK_TOKEN/);
  }
});

test("large files are named", () => {
  const files = [file('data/in "1", x;y.bin', 9000)];
  assert.match(curlCommand(snapshot({ files })), /--form 'files=@"in \\"1\\", x;y\.bin";filename="data\/in/);
  assert.match(cliCommand(snapshot({ files })), /--file 'in "1", x;y\.bin=data\/in/);
  assert.match(pythonProgram(snapshot({ files })), /Path\("in \\"1\\", x;y\.bin"\)/);
  assert.match(goProgram(snapshot({ files })), /read\("in \\"1\\", x;y\.bin"\)/);
  for (const generate of [curlCommand, cliCommand, pythonProgram, goProgram]) {
    assert.match(generate(snapshot({ files })), /Run it in the folder that has/);
  }
});

test("a name that the command line cannot have is noted", () => {
  assert.match(cliCommand(snapshot({ files: [file("a=b.csv")] })), /^# --file cannot have "a=b\.csv"/);
});

test("limits of Go are exact", () => {
  const go = (wall_seconds: number) => goProgram(snapshot({ fields: { limits: { wall_seconds } } }));
  assert.match(go(2), /Wall: 2 \* time\.Second/);
  assert.match(go(0.5), /Wall: 500 \* time\.Millisecond/);
  assert.match(go(0.1234567), /Wall: 123456700 \* time\.Nanosecond/);
});

test("no field of a link becomes an option", () => {
  const text = cliCommand(
    snapshot({ fields: { environment: "--url=http://evil.example", entry: "script", args: '["--url"]' } }),
  );
  assert.match(text, /--environment='--url=http/);
  assert.match(text, / -- --url <<'PY'/);
});
