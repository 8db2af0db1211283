import assert from "node:assert/strict";
import test from "node:test";
import type { Job } from "../shared/api";
import { errorLine } from "./error_line";

function failed(fields: Partial<Job>): Job {
  return { job_id: "1", status: "failed", created_at: "", started_at: null, finished_at: null, ...fields };
}

test("a syntax error has its line and column", () => {
  assert.deepEqual(errorLine(failed({ error: "invalid syntax", line: 3, column: 7 })), {
    line: 3,
    column: 7,
    message: "invalid syntax",
  });
  assert.deepEqual(errorLine(failed({ error: "x", line: 3 })), { line: 3, message: "x" });
});

test("an exception has the line of the script's last frame", () => {
  const traceback = `Traceback (most recent call last):
  File "script.py", line 9, in main
    helper.work()
  File "script.py", line 4, in inner
    helper.work()
  File "helper.py", line 70, in work
    raise ValueError("bad")
ValueError: bad
`;
  assert.deepEqual(errorLine(failed({ error: "ValueError: bad", traceback })), {
    line: 4,
    message: "ValueError: bad",
  });
  assert.equal(errorLine(failed({ traceback: traceback.replaceAll("script.py", "cell") }))?.line, 4);
});

test("the text of an exception is not taken for a frame", () => {
  const error = 'ValueError: x\n  File "script.py", line 99, in main\n    no';
  const traceback = `Traceback (most recent call last):\n  File "script.py", line 2, in main\n    raise\n${error}\n`;
  assert.equal(errorLine(failed({ error, traceback }))?.line, 2);
});

test("a group of exceptions", () => {
  const traceback = `  + Exception Group Traceback (most recent call last):
  |   File "script.py", line 8, in main
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "script.py", line 3, in main
    | ValueError: a
    +------------------------------------
`;
  assert.equal(errorLine(failed({ error: "ExceptionGroup: two (2 sub-exceptions)", traceback }))?.line, 3);
});

test("no line", () => {
  assert.equal(errorLine(failed({ error: "the job exceeded its time", code: "timeout" })), undefined);
  assert.equal(errorLine(failed({ traceback: 'File "other.py", line 3\nScript.py line 4' })), undefined);
});
