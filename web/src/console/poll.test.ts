import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { ApiError } from "../shared/api";
import { type Polled, poll } from "./poll";

/** A page whose visibility the test sets. */
class Page {
  isHidden = false;
  #calls = new Set<() => void>();
  hidden = () => this.isHidden;
  onChange = (call: () => void, signal: AbortSignal) => {
    this.#calls.add(call);
    signal.addEventListener("abort", () => this.#calls.delete(call));
  };
  set(isHidden: boolean) {
    this.isHidden = isHidden;
    for (const call of this.#calls) call();
  }
}

/** Starts a poll of every second with a clock that the test moves. */
function start(t: TestContext, answer: (request: number) => unknown) {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const page = new Page();
  const over = new AbortController();
  t.after(() => over.abort());
  const states: Polled<unknown>[] = [];
  let requests = 0;
  const load = async () => {
    const value = answer(++requests);
    if (value instanceof Error) throw value;
    return value;
  };
  const ended = poll({ load, every: () => 1_000, show: (state) => states.push(state), page }, over.signal);
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms);
    await new Promise(setImmediate);
  };
  return { page, over, states, ended, pass, requests: () => requests };
}

test("it reads at once, and again after each pause", async (t) => {
  const { pass, requests, states } = start(t, (request) => request);
  await pass(0);
  assert.equal(requests(), 1);
  await pass(999);
  assert.equal(requests(), 1);
  await pass(1);
  assert.equal(requests(), 2);
  assert.equal(states.at(-1)?.data, 2);
});

test("it rests while the page is hidden, and goes on at once when it is shown", async (t) => {
  const { page, pass, requests } = start(t, (request) => request);
  await pass(0);
  page.set(true);
  await pass(10_000);
  assert.equal(requests(), 1);
  page.set(false);
  await pass(0);
  assert.equal(requests(), 2);
});

test("errors slow it down, what is known stays, and a success brings it back step by step", async (t) => {
  const failure = new ApiError(503, "unavailable", "Redis cannot be reached");
  const { pass, requests, states } = start(t, (request) =>
    request === 2 || request === 3 ? failure : request,
  );
  await pass(0);
  await pass(1_000);
  assert.equal(states.at(-1)?.error, failure);
  assert.equal(states.at(-1)?.data, 1);
  await pass(1_999);
  assert.equal(requests(), 2);
  await pass(1);
  await pass(3_999);
  assert.equal(requests(), 3);
  await pass(1);
  assert.equal(states.at(-1)?.data, 4);
  assert.equal(states.at(-1)?.error, undefined);
  await pass(3_999);
  assert.equal(requests(), 4);
  await pass(1);
  assert.equal(requests(), 5);
});

test("a pause that the service asks for is kept, also when the page is shown again", async (t) => {
  const busy = new ApiError(429, "rate_limited", "too many requests", undefined, 20);
  const { page, pass, requests } = start(t, () => busy);
  await pass(0);
  page.set(true);
  page.set(false);
  await pass(19_999);
  assert.equal(requests(), 1);
  await pass(1);
  assert.equal(requests(), 2);
});

test("it ends with an error that would come again, and with the signal", async (t) => {
  const refused = start(t, () => new ApiError(403, "forbidden", "no"));
  await refused.ended;
  assert.equal(refused.states.at(-1)?.nextAt, undefined);
  t.mock.timers.reset();
  const aborted = start(t, (request) => request);
  await aborted.pass(0);
  aborted.over.abort();
  await aborted.ended;
  assert.equal(aborted.states.length, 1);
});
