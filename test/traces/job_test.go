package traces

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"cellblock/test/stack"
)

// ofJob are the spans of a job, beside those of Redis's commands.
var ofJob = map[string]int{
	"POST /execute": 1, "send jobs": 1, "wait": 1, "process jobs": 1, "prepare": 1, "run": 1, "store": 1,
}

// TestOneTraceOfAJob reads a whole trace: names, kinds, parents, links, times, attributes, and ids in the logs.
func TestOneTraceOfAJob(t *testing.T) {
	t.Parallel()
	client := newParent()
	got := send(t, traced, "POST", "/execute?inline_files=true",
		script("def main():\n    print('output-5518')\n    return 'result-7744'", `"env":{"A":"input-9126"}`),
		"traceparent", client.header(true), "tracestate", "vendor=value", "X-Request-Id", "request-2231",
		"User-Agent", "test/1")
	if got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	trace := spans.await(t, client.trace, ofJob)
	accept, sent, wait := one(t, trace, "POST /execute"), one(t, trace, "send jobs"), one(t, trace, "wait")
	process, prepare := one(t, trace, "process jobs"), one(t, trace, "prepare")
	ran, store := one(t, trace, "run"), one(t, trace, "store")
	for _, c := range []struct {
		span    span
		kind    tracepb.Span_SpanKind
		parent  string
		service string
	}{
		{accept, tracepb.Span_SPAN_KIND_SERVER, client.span, "cellblock-api"},
		{sent, tracepb.Span_SPAN_KIND_PRODUCER, accept.id(), "cellblock-api"},
		{wait, tracepb.Span_SPAN_KIND_INTERNAL, sent.id(), "cellblock-worker"},
		{process, tracepb.Span_SPAN_KIND_CONSUMER, sent.id(), "cellblock-worker"},
		{prepare, tracepb.Span_SPAN_KIND_INTERNAL, process.id(), "cellblock-worker"},
		{ran, tracepb.Span_SPAN_KIND_INTERNAL, process.id(), "cellblock-worker"},
		{store, tracepb.Span_SPAN_KIND_INTERNAL, process.id(), "cellblock-worker"},
	} {
		if c.span.Kind != c.kind || c.span.parent() != c.parent || c.span.Resource["service.name"] != c.service ||
			c.span.failed() || c.span.TraceState != "vendor=value" {
			t.Errorf("%s is a %s of %s in %s, status %v, state %q", c.span.Name, c.span.Kind, c.span.parent(),
				c.span.Resource["service.name"], c.span.Status, c.span.TraceState)
		}
	}
	if len(process.Links) != 1 || hex.EncodeToString(process.Links[0].SpanId) != sent.id() {
		t.Errorf("the delivery is linked to %v", process.Links)
	}
	checkOrder(t, accept, sent, wait, process, prepare, ran, store)
	checkAttributes(t, accept, map[string]string{
		"http.request.method": "POST", "http.route": "/execute", "url.path": "/execute", "url.scheme": "http",
		"http.response.status_code": "200", "server.address": "127.0.0.1", "client.address": "127.0.0.1",
		"user_agent.original": "test/1", "network.protocol.version": "1.1", "cellblock.outcome": "ok",
		"cellblock.job.id": got.JobID, "cellblock.tenant": "operator", "cellblock.request.id": "request-2231",
	})
	ofSpans := map[string]string{
		"cellblock.job.id": got.JobID, "cellblock.tenant": "operator", "cellblock.environment": "default",
		"cellblock.entry": "main", "cellblock.request.id": "request-2231",
	}
	for _, s := range []span{sent, wait, process} {
		checkAttributes(t, s, ofSpans)
	}
	for s, operation := range map[*span]string{&sent: "send", &process: "process"} {
		checkAttributes(t, *s, map[string]string{
			"messaging.system": "asynq", "messaging.destination.name": "jobs", "messaging.operation.type": operation,
			"messaging.operation.name": operation, "messaging.message.id": got.JobID, "cellblock.outcome": "ok",
		})
	}
	checkAttributes(t, ran, map[string]string{"cellblock.outcome": "ok"})
	if r := process.Resource; r["deployment.environment.name"] != "test" || r["service.version"] == "" ||
		r["service.instance.id"] == "" || r["service.instance.id"] == accept.Resource["service.instance.id"] {
		t.Errorf("the worker is %v", r)
	}
	checkRedis(t, trace, sent, process, store)
	for _, secret := range []string{
		"output-5518", "result-7744", "input-9126", "def main", token, "inline_files", webhookSecret,
	} {
		if spans.has(secret) {
			t.Errorf("the spans have %q", secret)
		}
	}
	checkLogs(t, got.JobID, accept, store)
}

// checkOrder checks that spans lie in one another and follow one another. The clocks of both processes are the same.
func checkOrder(t *testing.T, accept, sent, wait, process, prepare, ran, store span) {
	t.Helper()
	const slack = 20 * time.Millisecond // the wait is counted by Redis's clock
	for _, c := range []struct {
		what          string
		before, after time.Time
	}{
		{"accept begins before send", accept.start(), sent.start()},
		{"send ends before accept", sent.end(), accept.end()},
		{"wait begins in send", sent.start().Add(-slack), wait.start()},
		{"wait begins in send", wait.start(), sent.end().Add(slack)},
		{"wait ends when the job is taken", wait.end(), process.start()},
		{"the job is taken when the wait ends", process.start(), wait.end()},
		{"prepare is in the delivery", process.start(), prepare.start()},
		{"prepare comes before run", prepare.end(), ran.start()},
		{"run comes before store", ran.end(), store.start()},
		{"store is in the delivery", store.end(), process.end()},
	} {
		if c.before.After(c.after) {
			t.Errorf("%s: %s is after %s", c.what, c.before, c.after)
		}
	}
	for _, s := range []span{accept, sent, wait, process, prepare, ran, store} {
		if s.end().Before(s.start()) {
			t.Errorf("%s ends before it begins", s.Name)
		}
	}
}

func checkAttributes(t *testing.T, s span, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := s.get(name); got != value {
			t.Errorf("%s has %s=%q, want %q", s.Name, name, got, value)
		}
	}
}

// checkRedis checks the spans of Redis's commands: a few, of the spans of the job alone.
func checkRedis(t *testing.T, trace []span, parents ...span) {
	t.Helper()
	commands := 0
	for _, s := range trace {
		if s.get("db.system.name") == "" {
			continue
		}
		commands++
		known := false
		for _, p := range parents {
			known = known || s.parent() == p.id()
		}
		if !known || s.Kind != tracepb.Span_SPAN_KIND_CLIENT || s.failed() || s.get("db.operation.name") != s.Name {
			t.Errorf("%s", describe([]span{s}))
		}
	}
	if commands < len(parents) || commands > 8 {
		t.Errorf("%d commands of Redis in\n%s", commands, describe(trace))
	}
}

// checkLogs checks that the lines about a job have the ids of spans.
func checkLogs(t *testing.T, jobID string, accept, store span) {
	t.Helper()
	for _, c := range []struct {
		of      *stack.Process
		message string
		span    span
	}{{traced.API, "request", accept}, {traced.Workers()[0], "job ended", store}} {
		trace, id := logged(t, c.of, c.message, "trace_id", jobID), logged(t, c.of, c.message, "span_id", jobID)
		if trace != c.span.trace() || id != c.span.id() {
			t.Errorf("%q has the ids %s and %s, want those of %s", c.message, trace, id, describe([]span{c.span}))
		}
	}
}

// TestFailedJobIsNoFailureOfTheService: the code is an attribute, and the status stays unset.
func TestFailedJobIsNoFailureOfTheService(t *testing.T) {
	t.Parallel()
	client := newParent()
	got := send(t, traced, "POST", "/execute", script("raise ValueError('message-6620')", `"entry":"script"`),
		"traceparent", client.header(true))
	if got.Status != 422 || got.Code != "exit" && got.Code != "exception" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	trace := spans.await(t, client.trace, ofJob)
	for _, name := range []string{"POST /execute", "process jobs", "run"} {
		s := one(t, trace, name)
		if s.failed() || s.get("cellblock.outcome") != got.Code || s.get("error.type") != "" {
			t.Errorf("%s: status %v, %v", name, s.Status, texts(s.Attributes))
		}
	}
	if entry := one(t, trace, "process jobs").get("cellblock.entry"); entry != "script" {
		t.Errorf("the entry is %q", entry)
	}
	if spans.has("message-6620") {
		t.Error("the spans have the message of the exception")
	}
}

// TestScriptsDoNotSeeTheSettings: headers for the collector may have its key.
func TestScriptsDoNotSeeTheSettings(t *testing.T) {
	t.Parallel()
	got := send(t, traced, "POST", "/execute", script("import os\ndef main(): return dict(os.environ)"))
	if got.Status != 200 || strings.Contains(got.Body, "OTEL") || !strings.Contains(got.Body, "PATH") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// TestRefusedRequest: a refusal is no failure of the service, and an unknown path is in no attribute.
func TestRefusedRequest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, path, name, outcome string }{
		{"POST", "/execute", "POST /execute", "invalid_request"},
		{"GET", "/jobs/cb_secret-1182", "GET /jobs/{id}", "not_found"},
		{"GET", "/cb_secret-1183", "GET", "not_found"},
	} {
		client := newParent()
		send(t, traced, c.method, c.path, "{}", "traceparent", client.header(true))
		trace := spans.await(t, client.trace, map[string]int{c.name: 1})
		if s := one(t, trace, c.name); s.failed() || s.get("cellblock.outcome") != c.outcome || len(trace) != 1 {
			t.Errorf("%s %s: %s", c.method, c.path, describe(trace))
		}
	}
	if spans.has("cb_secret") {
		t.Error("the spans have a path as the client wrote it")
	}
}

// TestJobsOfABatch: each has the trace of the request, and spans of its own.
func TestJobsOfABatch(t *testing.T) {
	t.Parallel()
	client := newParent()
	body := script("def main(): return 1") + "\n" + script("def main(): return 2") + "\n{}\n"
	got := send(t, traced, "POST", "/batches", body, "traceparent", client.header(true),
		"Content-Type", "application/x-ndjson")
	if got.Status != 202 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	trace := spans.await(t, client.trace, map[string]int{
		"POST /batches": 1, "send jobs": 2, "wait": 2, "process jobs": 2, "run": 2, "store": 2,
	})
	batch := one(t, trace, "POST /batches")
	id := batch.get("cellblock.batch.id")
	parents := map[string]string{}
	for _, s := range named(trace, "send jobs") {
		if s.parent() != batch.id() || s.get("cellblock.batch.id") != id || id == "" {
			t.Errorf("%s", describe([]span{batch, s}))
		}
		parents[s.id()] = s.get("cellblock.job.id")
	}
	for _, s := range named(trace, "process jobs") {
		if parents[s.parent()] != s.get("cellblock.job.id") {
			t.Errorf("%s", describe(trace))
		}
		delete(parents, s.parent())
	}
	if len(parents) > 0 {
		t.Errorf("jobs without a delivery: %v", parents)
	}
}

// TestRepeatedRequest: the job keeps the trace of the request that created it.
func TestRepeatedRequest(t *testing.T) {
	t.Parallel()
	first, second := newParent(), newParent()
	body, key := script("def main(): return 1"), "key-"+first.trace
	created := send(t, traced, "POST", "/execute", body, "Idempotency-Key", key, "traceparent", first.header(true))
	again := send(t, traced, "POST", "/execute", body, "Idempotency-Key", key, "traceparent", second.header(true))
	if created.JobID != again.JobID || again.Status != 200 {
		t.Fatalf("%+v\n%+v", created, again)
	}
	trace := spans.await(t, first.trace, ofJob)
	if job := one(t, trace, "process jobs").get("cellblock.job.id"); job != created.JobID {
		t.Errorf("the first request's trace has the job %s", job)
	}
	repeated := spans.await(t, second.trace, map[string]int{"POST /execute": 1})
	if got := one(t, repeated, "POST /execute").get("cellblock.job.id"); got != created.JobID {
		t.Errorf("the second request's trace names the job %q", got)
	}
	if len(named(repeated, "process jobs"))+len(named(repeated, "run")) > 0 {
		t.Errorf("the job has run in the second request's trace:\n%s", describe(repeated))
	}
}

// TestParentDecidesSampling: nothing of a trace that the client does not record is exported, by the worker neither.
func TestParentDecidesSampling(t *testing.T) {
	t.Parallel()
	unsampled, sampled := newParent(), newParent()
	body := script("def main(): return 1")
	got := send(t, traced, "POST", "/execute", body, "traceparent", unsampled.header(false))
	after := send(t, traced, "POST", "/execute", body, "traceparent", sampled.header(true))
	spans.await(t, sampled.trace, ofJob) // those of the first job would have come before
	if found, _ := spans.of(unsampled.trace); len(found) > 0 || spans.has(got.JobID) || !spans.has(after.JobID) {
		t.Errorf("got\n%s", describe(found))
	}
	// Lines of the log still name the trace, which others may have recorded.
	if trace := logged(t, traced.Workers()[0], "job ended", "trace_id", got.JobID); trace != unsampled.trace {
		t.Errorf("the log names the trace %q", trace)
	}
}

// TestRequestWithoutTraceBeginsOne: the API begins a trace, which the worker continues.
func TestRequestWithoutTraceBeginsOne(t *testing.T) {
	t.Parallel()
	got := send(t, traced, "POST", "/execute", script("def main(): return 1"), "traceparent", "00-malformed")
	id := logged(t, traced.Workers()[0], "job ended", "trace_id", got.JobID)
	trace := spans.await(t, id, ofJob)
	if s := one(t, trace, "POST /execute"); s.parent() != "" || s.get("cellblock.job.id") != got.JobID {
		t.Errorf("%s", describe(trace))
	}
}

// TestToolCallBelongsToItsRequest: a job of the MCP server has the trace of POST /mcp.
func TestToolCallBelongsToItsRequest(t *testing.T) {
	t.Parallel()
	client := newParent()
	got := send(t, traced, "POST", "/mcp", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+
		`{"name":"run_python","arguments":{"code":"6*7"}}}`, "traceparent", client.header(true),
		"Accept", "application/json, text/event-stream", "Mcp-Protocol-Version", "2025-11-25")
	if got.Status != 200 || !strings.Contains(got.Body, "42") {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	trace := spans.await(t, client.trace, map[string]int{"POST /mcp": 1, "send jobs": 1, "process jobs": 1, "run": 1})
	call, sent := one(t, trace, "POST /mcp"), one(t, trace, "send jobs")
	if sent.parent() != call.id() || call.get("cellblock.job.id") != sent.get("cellblock.job.id") ||
		sent.get("cellblock.entry") != "cell" {
		t.Errorf("%s", describe(trace))
	}
}

// TestProbesAreNoTraces: what is requested every few seconds does not fill the collector.
func TestProbesAreNoTraces(t *testing.T) {
	t.Parallel()
	client := newParent()
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/docs"} {
		if got := send(t, traced, "GET", path, "", "traceparent", client.header(true)); got.Status != 200 {
			t.Errorf("%s: %d", path, got.Status)
		}
	}
	end := newParent()
	send(t, traced, "GET", "/jobs", "", "traceparent", end.header(true))
	spans.await(t, end.trace, map[string]int{"GET /jobs": 1})
	if found, _ := spans.of(client.trace); len(found) > 0 {
		t.Errorf("got\n%s", describe(found))
	}
}

// TestFailureOfTheServiceOnAWorker: the script has run as it should, and its files cannot be stored.
func TestFailureOfTheServiceOnAWorker(t *testing.T) {
	t.Parallel()
	settings := config(stack.Env{"OTEL_EXPORTER_OTLP_ENDPOINT": spans.URL, "OTEL_BSP_SCHEDULE_DELAY": "50"})
	settings.Workers[0]["FILES_URL"] = "file:///proc/none?no_tmp_dir=true&metadata=skip"
	broken, client := stack.StartFor(t, settings), newParent()
	got := send(t, broken, "POST", "/execute", script("open('outputs/a', 'w').write('x')", `"entry":"script"`),
		"traceparent", client.header(true))
	if got.Status != 500 || got.Code != "internal" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	trace := spans.await(t, client.trace, ofJob)
	for name, outcome := range map[string]string{
		"POST /execute": "internal", "process jobs": "internal", "store": "internal", "run": "ok",
	} {
		failed := outcome != "ok"
		if s := one(t, trace, name); s.failed() != failed || s.get("cellblock.outcome") != outcome ||
			(s.get("error.type") == "internal") != failed {
			t.Errorf("%s: status %v, %v", name, s.Status, texts(s.Attributes))
		}
	}
}

// TestServiceWithoutWorkers: the service failed, and so the status is Error.
func TestServiceWithoutWorkers(t *testing.T) {
	t.Parallel()
	settings := config(stack.Env{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": spans.URL + "/v1/traces"})
	settings.Workers = nil
	alone := stack.StartFor(t, settings)
	client := newParent()
	got := send(t, alone, "POST", "/execute", script("def main(): return 1"), "traceparent", client.header(true))
	if got.Status != 503 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if err := alone.API.Stop(); err != nil { // exports what it has, long before the batch is due
		t.Fatal(err)
	}
	trace, _ := spans.of(client.trace)
	s := one(t, trace, "POST /execute")
	if !s.failed() || s.get("error.type") != "unavailable" || s.get("cellblock.outcome") != "unavailable" {
		t.Errorf("%s, status %v", describe(trace), s.Status)
	}
	if fmt.Sprint(s.get("http.response.status_code")) != "503" {
		t.Errorf("%s", describe(trace))
	}
}
