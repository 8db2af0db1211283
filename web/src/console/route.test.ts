import assert from "node:assert/strict";
import test from "node:test";
import { idIn } from "./id_form";
import { isFiltered, jobLink, jobsLink, noFilters, parseRoute } from "./route";

test("a link of filters leads to the same filters", () => {
  const filters = {
    ...noFilters,
    status: "failed",
    code: "timeout",
    labels: ["customer:42", "example.com/run:a+b&c=d"],
    since: "2026-01-02T03:04:05+01:00",
    cursor: "a b",
  };
  assert.deepEqual(parseRoute(jobsLink(filters)), { view: "jobs", filters });
  assert.equal(jobsLink({ code: "timeout", since: "1h" }), "#jobs&code=timeout&since=1h");
});

test("a fragment that is none of the console's is the overview", () => {
  for (const fragment of ["", "#", "#overview", "#job=", "#<b>", "#%"]) {
    assert.deepEqual(parseRoute(fragment), { view: "overview" }, fragment);
  }
});

test("a link of a job leads to its id, whatever that is", () => {
  const id = "a&b=<c>%";
  assert.deepEqual(parseRoute(jobLink(id)), { view: "job", id });
});

test("a page of the whole list is not filtered", () => {
  assert.equal(isFiltered({ ...noFilters, cursor: "x" }), false);
  assert.equal(isFiltered({ ...noFilters, labels: ["a:b"] }), true);
});

test("an id is found in a line of a log", () => {
  assert.equal(
    idIn('{"job_id":"01981F3E-7c1a-7000-8000-000000000001"}'),
    "01981f3e-7c1a-7000-8000-000000000001",
  );
  assert.equal(idIn("01981f3e"), undefined);
});
