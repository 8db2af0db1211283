import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultOptions } from "./options";
import { fragmentOf, LinkError, openFragment } from "./share";

const options = defaultOptions();

test("a link has the script and its options", async () => {
  for (const script of ["", "x", "def main():\n    return '東京 \u202e \\ \"'\n", "a".repeat(51_200)]) {
    const shared = { script, options: { ...options, entry: "script" as const, argv: "a\nb" } };
    const fragment = await fragmentOf(shared);
    assert.match(fragment, /^#s1=[A-Za-z0-9_-]+$/);
    assert.deepEqual(await openFragment(fragment), shared);
  }
});

test("a link has the line ends of the editor", async () => {
  const fragment = await fragmentOf({ script: "a\r\nb\rc\n", options });
  assert.equal((await openFragment(fragment))?.script, "a\nb\nc\n");
});

test("other fragments are no links", async () => {
  for (const fragment of ["", "#", "#output", "#s=1"]) assert.equal(await openFragment(fragment), undefined);
});

test("bad links are refused", async () => {
  const good = await fragmentOf({ script: "x".repeat(100), options });
  const data = async (text: string) => {
    const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
    return `#s1=${Buffer.from(await new Response(stream).arrayBuffer()).toString("base64url")}`;
  };
  const bad = [
    good.slice(0, -4),
    "#s1=",
    "#s1=***",
    "#s2=AAAA",
    `#s1=${"A".repeat(100_000)}`,
    await data("no JSON"),
    await data("null"),
    await data("{}"),
    await data('{"script":1}'),
    await data('{"script":"x","entry":"other"}'),
    await data(JSON.stringify({ script: "x".repeat(3 << 20) })),
  ];
  for (const fragment of bad) await assert.rejects(openFragment(fragment), LinkError, fragment.slice(0, 60));
});

test("a link that is too long is not made", async () => {
  let noise = "";
  for (let i = 0; noise.length < 200_000; i++) noise += Math.sin(i).toString(36).slice(3);
  await assert.rejects(fragmentOf({ script: "", options: { ...options, stdin: noise } }), LinkError);
});
