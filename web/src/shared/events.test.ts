import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { ApiError } from "./api";
import { watch } from "./events";

/** Starts a server that answers the nth request, and leads the requests of the page to it. */
async function serve(t: TestContext, answers: ((response: ServerResponse) => void)[]): Promise<number[]> {
  const asked: number[] = [];
  const server = createServer((_, response) => {
    const answer = answers[asked.length];
    asked.push(performance.now());
    if (answer === undefined) response.writeHead(404).end("{}");
    else answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const own = globalThis.fetch;
  t.mock.method(globalThis, "fetch", (path: string, init: RequestInit) =>
    own(`http://127.0.0.1:${port}${path}`, init),
  );
  return asked;
}

const end = (response: ServerResponse) =>
  response
    .writeHead(200, { "Content-Type": "text/event-stream" })
    .end('id: 2\nevent: end\ndata: {"job_id":"a"}\n\n');

/** Returns the types of the events. */
async function typesOf(signal: AbortSignal): Promise<string[]> {
  const types: string[] = [];
  for await (const event of watch("a", signal)) types.push(event.type);
  return types;
}

test("a connection that was quiet for long is replaced when it is lost", async (t) => {
  let now = Date.now();
  t.mock.method(Date, "now", () => now);
  await serve(t, [
    (response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write('id: 1\nevent: state\ndata: {"status":"running"}\n\n', () => {
        setTimeout(() => {
          now += 600_000; // the script prints nothing for ten minutes
          response.destroy();
        }, 100);
      });
    },
    end,
  ]);
  assert.deepEqual(await typesOf(t.signal), ["state", "end"]);
});

test("a service that stays away is given up as one", async (t) => {
  let now = Date.now();
  t.mock.method(Date, "now", () => {
    now += 4_000; // a connection is looked at twice: it does not last
    return now;
  });
  const cut = (response: ServerResponse) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(": nothing\n\n", () => response.destroy());
  };
  await serve(t, new Array(50).fill(cut));
  await assert.rejects(typesOf(t.signal), (failure) => failure instanceof ApiError && failure.status === 0);
});

test("the pause that the service asks for is kept", async (t) => {
  const asked = await serve(t, [
    (response) =>
      response.writeHead(429, { "Retry-After": "2" }).end('{"code":"rate_limited","error":"slow"}'),
    end,
  ]);
  assert.deepEqual(await typesOf(t.signal), ["end"]);
  const pause = (asked[1] ?? 0) - (asked[0] ?? 0);
  assert.ok(pause >= 1_990, `${pause} ms`);
});
