import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { doubleQuoted, heredoc, pythonText, pythonValue, shellFile, shellWord, visibleJSON } from "./quoting";

const texts = [
  "",
  "plain",
  "two words",
  'it\'s "quoted" `here` $HOME $(id) \\ \\n !',
  "line\nEND\nEND_\nBASE64\nPY\n",
  "no line end",
  "tab\tand\r\nreturn\u0001\u001b[31m",
  '"""',
  'ends with """',
  'ends with \\"',
  'lines\nwith """" and \\""" and "',
  "東京 😀 é",
  "\u202eevil\u202c \ufeff \u2028 \u{e0001}",
  "\u115f\u1160\u180e\u206a\u3164\uffa0\ufff9\u{1d173}",
  "-n",
  "%s %d",
];

function bash(script: string): string {
  return execFileSync("bash", ["-c", script], { encoding: "utf8" });
}

test("words and files of a shell", () => {
  for (const text of texts) {
    assert.equal(bash(`printf %s ${text === "" ? "''" : shellWord(text)}`), text);
    assert.equal(bash(`cat ${shellFile(text)}`), text);
    if (text.endsWith("\n")) assert.equal(bash(`cat ${heredoc(text, "PY")}`), text);
  }
});

test("literals of Python", () => {
  for (const text of texts) {
    for (const literal of [doubleQuoted(text), pythonText(text)]) {
      const program = `import sys\nsys.stdout.buffer.write(${literal}.encode())\n`;
      assert.equal(execFileSync("python3", ["-"], { input: program, encoding: "utf8" }), text);
    }
  }
});

test("values of Python", () => {
  const value = {
    a: [1, -2.5, 1e3, true, false, null],
    "kéy\n": { "": 'it\'s "x" \\ / \u202e 😀' },
    e: [],
    o: {},
  };
  const json = JSON.stringify(value).replace("1000", "12345678901234567890123");
  const program = `import json, sys\nsys.stdout.write(json.dumps(${pythonValue(json)}))`;
  const result = execFileSync("python3", ["-c", program], { encoding: "utf8" });
  assert.match(result, /12345678901234567890123/);
  assert.deepEqual(JSON.parse(result), JSON.parse(json));
});

test("no literal has characters that are not seen", () => {
  const hidden = texts.join("");
  for (const literal of [
    shellWord(hidden),
    shellFile(hidden),
    pythonText(hidden),
    doubleQuoted(hidden),
    visibleJSON(JSON.stringify(hidden)),
  ]) {
    for (const each of "\u202e\u202c\u2028\ufeff\r\u001b\u0001\u115f\u1160\u180e\u206a\u3164\uffa0\ufff9")
      assert.ok(!literal.includes(each));
  }
  assert.equal(JSON.parse(visibleJSON(JSON.stringify(hidden))), hidden);
});
