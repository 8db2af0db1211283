import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { activity, jobsWithStatus } from "./sources";

/** Answers requests by their path and query, and notes them. */
function answer(t: TestContext, respond: (url: URL) => unknown): string[] {
  const asked: string[] = [];
  t.mock.method(globalThis, "fetch", async (path: string) => {
    asked.push(path);
    return Response.json(respond(new URL(path, "http://service")));
  });
  return asked;
}

const summary = (id: string) => ({ job_id: id, created_at: "", started_at: null, finished_at: null });

test("running jobs are found behind many that wait", async (t) => {
  const asked = answer(t, ({ pathname, searchParams }) => {
    if (pathname === "/activity") return { at: "2026-01-02T03:04:05Z", oldest_wait_seconds: 100 };
    const isOld = searchParams.get("until") === "2026-01-02T03:02:25.050Z";
    return {
      jobs: isOld ? [summary("old"), summary("new")] : [summary("new")],
      next_cursor: isOld ? null : "more",
    };
  });
  const { signal } = new AbortController();
  await activity.load("", signal);
  const found = await jobsWithStatus.load("running", signal);
  assert.deepEqual(
    found.jobs.map(({ job_id }) => job_id),
    ["new", "new", "old"],
  );
  assert.equal(asked.length, 4); // one for the activity, two for the newest
});

test("the jobs that have waited for the longest time are found behind many others", async (t) => {
  const oldest = Date.parse("2026-01-02T03:02:25Z");
  answer(t, ({ pathname, searchParams }) => {
    if (pathname === "/activity") return { at: "2026-01-02T03:04:05Z", oldest_wait_seconds: 100 };
    const until = Date.parse(searchParams.get("until") ?? "");
    // 100 jobs in each second: a page holds those of two seconds.
    const isFull = !(until - oldest < 2_000);
    if (!isFull) return { jobs: [summary("old")], next_cursor: null };
    return { jobs: Array.from({ length: 200 }, () => summary("new")), next_cursor: "more" };
  });
  const { signal } = new AbortController();
  await activity.load("", signal);
  const found = await jobsWithStatus.load("queued", signal);
  assert.deepEqual(
    found.jobs.map(({ job_id }) => job_id),
    ["old"],
  );
  assert.equal(found.requests, 4);
});

test("a list that is complete needs one request", async (t) => {
  const asked = answer(t, () => ({ jobs: [summary("a")], next_cursor: null }));
  const found = await jobsWithStatus.load("queued", new AbortController().signal);
  assert.equal(found.jobs.length, 1);
  assert.deepEqual(asked, ["/jobs?status=queued&limit=200"]);
});
