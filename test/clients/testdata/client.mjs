// What programs in JavaScript do, with nothing but fetch(). Prints a line of
// JSON for each case: its id, and what came back.

const url = process.env.CELLBLOCK_URL;
const headers = { Authorization: `Bearer ${process.env.CELLBLOCK_TOKEN}`, "Content-Type": "application/json" };

const post = (body, more = {}) => fetch(`${url}/execute`, { method: "POST", headers, body, ...more });
const script = (text, fields = {}) => JSON.stringify({ script: text, ...fields });

const cases = {
  // One connection after the other's answer was read, as fetch() keeps them.
  async keepalive() {
    const results = [];
    for (let n = 0; n < 10; n++) {
      results.push((await (await post(script("def main(n):\n    return n", { args: { n } }))).json()).result);
    }
    return results;
  },

  // A body whose length nobody knows is sent in chunks.
  async stream() {
    const bytes = new TextEncoder().encode(script('def main():\n    return "é"'));
    const body = new ReadableStream({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const answer = await post(body, { duplex: "half" });
    return [answer.status, (await answer.json()).result];
  },

  async sse() {
    const accepted = await (await post(script("def main():\n    print('é')\n    return 7", { async: true }))).json();
    const events = await fetch(`${url}/jobs/${accepted.job_id}/events`, { headers });
    const names = new Set();
    let text = "";
    for await (const chunk of events.body.pipeThrough(new TextDecoderStream())) text += chunk;
    let end;
    for (const event of text.split("\n\n")) {
      const name = /^event: (.*)$/m.exec(event)?.[1];
      if (name && name !== "state") names.add(name);
      if (name === "end") end = JSON.parse(/^data: (.*)$/m.exec(event)[1]);
    }
    return [[...names], end.status, end.result, end.stdout];
  },

  // JSON.parse() rounds them; on the wire they are whole.
  async bigint() {
    const text = await (await post(script("def main():\n    return [2**53 + 1, 10**20]"))).text();
    return /"result":(\[[^\]]*\])/.exec(text)[1];
  },

  async file() {
    const answer = await post(script("import os\ndef main():\n    os.makedirs('outputs', exist_ok=True)\n    open('outputs/a b.bin', 'wb').write(bytes(range(256)))"));
    const job = await answer.json();
    const bytes = new Uint8Array(await (await fetch(url + job.files[0].url, { headers })).arrayBuffer());
    return [bytes.length, bytes.every((byte, at) => byte === at)];
  },
};

for (const [id, run] of Object.entries(cases)) {
  console.log(JSON.stringify([id, await run()]));
}
