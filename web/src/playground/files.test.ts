import assert from "node:assert/strict";
import { test } from "node:test";
import { toBase64 } from "../shared/base64";
import { addFiles, type InputFile, mostBytes, mostFiles, toText } from "./files";
import { bodyOf } from "./request";

function file(path: string, size = 1): InputFile {
  return { path, bytes: new Uint8Array(size).fill(97) };
}

test("files are bounded, and a name is there once", () => {
  const { files } = addFiles([file("a"), file("b")], [file("a", 5)]);
  assert.deepEqual(
    files.map((each) => [each.path, each.bytes.length]),
    [
      ["b", 1],
      ["a", 5],
    ],
  );
  assert.match(addFiles([file("a", mostBytes)], [file("b")]).problem, /16 MiB/);
  const many = Array.from({ length: mostFiles }, (_, index) => file(String(index)));
  assert.match(addFiles(many, [file("x")]).problem, /at most 64/);
  assert.match(addFiles([], [file("é".repeat(200))]).problem, /255 bytes/);
});

test("base64 and text", () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index % 256);
  assert.equal(toBase64(bytes), Buffer.from(bytes).toString("base64"));
  assert.equal(toText(new TextEncoder().encode("é\n")), "é\n");
  assert.equal(toText(Uint8Array.of(0xff)), undefined);
  assert.equal(toText(new TextEncoder().encode("\ufeffx")), undefined);
});

test("small files are in the JSON, large ones in a form", async () => {
  const fields = { args: '{"n":12345678901234567890}', env: { A: "1" } };
  const body = bodyOf("x", fields, [file("a")]);
  assert.ok(body instanceof Blob);
  assert.equal(body.type, "application/json");
  assert.equal(
    await body.text(),
    '{"script":"x","async":true,"env":{"A":"1"},"args":{"n":12345678901234567890},"files":[{"path":"a","content_base64":"YQ=="}]}',
  );
  const form = bodyOf("x\n", fields, [file("d/a", 2 << 20)]);
  assert.ok(form instanceof FormData);
  assert.equal(await (form.get("script") as File).text(), "x\n");
  assert.equal(await (form.get("args") as File).text(), fields.args);
  assert.equal((form.get("files") as File).name, "d/a");
  // A browser would escape the quotes in a form.
  assert.ok(bodyOf("x", {}, [file('"', 2 << 20)]) instanceof Blob);
});
