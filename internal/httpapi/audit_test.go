package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"

	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/audit"
	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

// auditedHandler returns a handler with an audit log, and a function that returns the lines since its last call, without
// the times.
func auditedHandler(t *testing.T, service Jobs, settings Settings) (h *Handler, lines func() []map[string]any) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Settings{File: path}, slog.New(slog.DiscardHandler), func() { t.Error("lost") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	h = newHandlerWith(t, service, settings)
	h.audit = log
	read := 0
	return h, func() (decoded []map[string]any) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text[read:])) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			at, _ := fields["time"].(string)
			if parsed, err := time.Parse(time.RFC3339, at); err != nil || time.Since(parsed).Abs() > time.Minute {
				t.Errorf("the time is %q", at)
			}
			delete(fields, "time")
			decoded = append(decoded, fields)
		}
		read = len(text)
		return decoded
	}
}

// oneLine serves a request without a connection, so that the line is there when it returns, and returns it.
func oneLine(t *testing.T, h *Handler, lines func() []map[string]any, request *http.Request) map[string]any {
	t.Helper()
	request.RemoteAddr = "192.0.2.7:1234"
	request.Header.Set("X-Request-Id", "r-1")
	func() {
		defer func() { _ = recover() }() // http.ErrAbortHandler
		h.ServeHTTP(httptest.NewRecorder(), request)
	}()
	found := lines()
	if len(found) != 1 {
		t.Fatalf("%s %s: %d lines: %v", request.Method, request.URL, len(found), found)
	}
	if found[0]["request_id"] != "r-1" || found[0]["client"] != "192.0.2.7" {
		t.Errorf("%v", found[0])
	}
	delete(found[0], "request_id")
	delete(found[0], "client")
	return found[0]
}

// Each operation of the contract has its line, but for a few that read nothing of a tenant.
func TestEachOperationIsAudited(t *testing.T) {
	t.Parallel()
	record := succeeded("1")
	record.Outcome.Files = []jobs.OutputFile{{Name: "hidden.csv", MediaType: "text/csv"}}
	h, lines := auditedHandler(t, stubJobs{
		get: func(context.Context, string, time.Duration) (jobs.Record, error) { return record, nil },
	}, Settings{})
	h.batches = &stubBatches{results: func(send func([]jobs.ItemResult) error) error { return send(nil) }}
	h.live = stubLive(func(_ context.Context, _ jobs.Position, send func([]jobs.Event) error) error {
		return send(nil)
	})
	h.files = fileMap{"": ""}
	uploads := make(chan jobs.Upload, 1)
	h.uploads = stubUploads{uploads, readAll, nil}
	var query jobs.UsageQuery
	h.usage = stubUsage{&query}
	const script = `{"script":"def main(): pass","args":{"hidden":1}}`
	type m = map[string]any
	done := map[string]bool{
		// They name no job and no tenant.
		"GET /environments": true, "GET /healthz": true, "GET /readyz": true, "GET /metrics": true,
	}
	for _, tc := range []struct {
		operation, url, body, contentType string
		want                              m
	}{
		{"POST /execute", "/execute?", script, "application/json", m{"action": "job.create", "job_id": jobID, "status": 200.0}},
		{"GET /jobs", "/jobs", "", "", m{"action": "job.list", "status": 200.0}},
		{"GET /jobs/{id}", "/jobs/" + strings.ToUpper(jobID), "", "", m{"action": "job.read", "job_id": jobID, "status": 200.0}},
		{"DELETE /jobs/{id}", "/jobs/" + jobID, "", "", m{"action": "job.cancel", "job_id": jobID, "status": 200.0}},
		{
			"GET /jobs/{id}/events", "/jobs/" + jobID + "/events", "", "",
			m{"action": "job.events", "job_id": jobID, "status": 200.0},
		},
		{
			"GET /jobs/{id}/files/{path}", "/jobs/" + jobID + "/files/hidden.csv", "", "",
			m{"action": "job.file", "job_id": jobID, "status": 200.0},
		},
		{
			"", "/jobs/" + jobID + "/files/hidden/a.csv", "", "",
			m{"action": "job.file", "job_id": jobID, "status": 404.0, "outcome": "not_found"},
		},
		{
			"POST /batches", "/batches", script + "\n", ndjson,
			m{"action": "batch.create", "batch_id": batchID, "count": 2.0, "status": 202.0},
		},
		{"GET /batches/{id}", "/batches/" + batchID, "", "", m{"action": "batch.read", "batch_id": batchID, "status": 200.0}},
		{
			"GET /batches/{id}/results", "/batches/" + batchID + "/results", "", "",
			m{"action": "batch.results", "batch_id": batchID, "status": 200.0},
		},
		{
			"DELETE /batches/{id}", "/batches/" + batchID, "", "",
			m{"action": "batch.cancel", "batch_id": batchID, "status": 200.0},
		},
		{"POST /files", "/files?name=hidden.csv", "x", "text/csv", m{"action": "file.create", "file_id": storedID, "status": 201.0}},
		{"GET /files/{file_id}", "/files/" + storedID, "", "", m{"action": "file.read", "file_id": storedID, "status": 200.0}},
		{
			"DELETE /files/{file_id}", "/files/" + storedID, "", "",
			m{"action": "file.delete", "file_id": storedID, "status": 204.0},
		},
		{"GET /usage", "/usage", "", "", m{"action": "usage.read", "status": 200.0}},
		{"POST " + runCodePath, runCodePath, printOne, "application/json", m{"action": "job.create", "job_id": jobID, "status": 200.0}},
	} {
		method, _, _ := strings.Cut(tc.operation, " ")
		if tc.operation == "" {
			method = http.MethodGet
		}
		request := newRequest(t.Context(), t, method, "http://localhost"+tc.url, strings.NewReader(tc.body))
		if tc.contentType != "" {
			request.Header.Set("Content-Type", tc.contentType)
		}
		if tc.want["outcome"] == nil {
			tc.want["outcome"] = "ok"
		}
		tc.want["tenant"] = "operator"
		if diff := cmp.Diff(tc.want, oneLine(t, h, lines, request)); diff != "" {
			t.Errorf("%s: %s", tc.url, diff)
		}
		done[tc.operation] = true
	}
	for path, item := range loadContract(t).doc.Paths.Map() {
		for method := range item.Operations() {
			if !done[method+" "+path] {
				t.Errorf("%s %s is not tested", method, path)
			}
		}
	}
}

// What has no line: probes, scrapes, the documentation and calls of the MCP server that concern no job.
func TestProbesAreNotAudited(t *testing.T) {
	t.Parallel()
	h, lines := auditedHandler(t, stubJobs{}, Settings{Token: "secret"})
	for _, path := range []string{"/", "/healthz", "/readyz", "/docs", "/docs/x", "/openapi.yaml"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	if found := lines(); len(found) != 0 {
		t.Errorf("%v", found)
	}
}

func TestRefusalsAreAudited(t *testing.T) {
	t.Parallel()
	gone, hangUp := context.WithCancel(t.Context())
	h, lines := auditedHandler(t, stubJobs{
		submit: func(context.Context, jobs.Request, string) (string, error) {
			return "", jobs.Errorf(jobs.CodeQueueFull, "full")
		},
		execute: func(ctx context.Context, request jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
			if request.Script == "gone" {
				hangUp()
				return jobs.Record{ID: jobID}, ctx.Err()
			}
			return failed(jobs.Failure{Code: jobs.CodeTimeout, Message: "hidden"}), nil
		},
		cancel: func(context.Context, string) (jobs.Record, error) {
			return jobs.Record{}, jobs.Errorf(jobs.CodeAlreadyFinished, "ended")
		},
		list: func(context.Context, jobs.ListQuery) (jobs.Page, error) { panic("hidden") },
		get: func(context.Context, string, time.Duration) (jobs.Record, error) {
			return jobs.Record{}, errors.New("hidden")
		},
	}, Settings{Token: "secret"})
	h.uploads = stubUploads{err: jobs.NotFound("file")}
	type m = map[string]any
	authorized := []string{"Authorization", "Bearer secret", "Content-Type", "application/json"}
	for name, tc := range map[string]struct {
		ctx               context.Context //nolint:containedctx // of the request
		method, url, body string
		headers           []string
		want              m
	}{
		"without the token": {
			method: "GET", url: "/jobs/" + jobID, headers: []string{"Authorization", "Bearer hidden"},
			want: m{"action": "job.read", "job_id": jobID, "outcome": "unauthorized", "status": 401.0},
		},
		"without the token, unknown": {
			method: "GET", url: "/admin/hidden",
			want: m{"action": "other", "outcome": "unauthorized", "status": 401.0},
		},
		"from a page": {
			method: "POST", url: "/execute", headers: append(authorized, "Origin", "https://hidden.example"),
			want: m{"action": "job.create", "outcome": "cross_origin", "status": 403.0},
		},
		"unknown path": {
			method: "GET", url: "/hidden", headers: authorized,
			want: m{"action": "other", "tenant": "operator", "outcome": "not_found", "status": 404.0},
		},
		"another method": {
			method: "PUT", url: "/jobs/" + jobID, headers: authorized,
			want: m{"action": "other", "tenant": "operator", "outcome": "method_not_allowed", "status": 405.0},
		},
		"no id": {
			method: "DELETE", url: "/jobs/hidden%0Ahidden", headers: authorized,
			want: m{"action": "job.cancel", "tenant": "operator", "outcome": "not_found", "status": 404.0},
		},
		"no file's id": {
			method: "GET", url: "/files/hidden%e2%80%a8%1b", headers: authorized,
			want: m{"action": "file.read", "tenant": "operator", "outcome": "not_found", "status": 404.0},
		},
		"an unknown parameter": {
			method: "GET", url: "/jobs?hidden=hidden", headers: authorized,
			want: m{"action": "job.list", "tenant": "operator", "outcome": "invalid_request", "status": 400.0},
		},
		"no JSON": {
			method: "POST", url: "/execute", body: "hidden", headers: authorized,
			want: m{"action": "job.create", "tenant": "operator", "outcome": "invalid_request", "status": 400.0},
		},
		"a full queue": {
			method: "POST", url: "/execute", body: `{"script":"hidden","async":true}`, headers: authorized,
			want: m{"action": "job.create", "tenant": "operator", "outcome": "queue_full", "status": 429.0},
		},
		"a job that failed": {
			method: "POST", url: "/execute", body: `{"script":"hidden"}`, headers: authorized,
			want: m{"action": "job.create", "tenant": "operator", "job_id": jobID, "outcome": "timeout", "status": 422.0},
		},
		"SandboxFusion's door": {
			method: "POST", url: runCodePath, body: printOne, headers: authorized,
			want: m{"action": "job.create", "tenant": "operator", "job_id": jobID, "outcome": "timeout", "status": 200.0},
		},
		"a client that hung up": {
			ctx: gone, method: "POST", url: "/execute", body: `{"script":"gone"}`, headers: authorized,
			want: m{"action": "job.create", "tenant": "operator", "job_id": jobID, "outcome": "client_gone", "status": 499.0},
		},
		"ended": {
			method: "DELETE", url: "/jobs/" + jobID, headers: authorized,
			want: m{
				"action": "job.cancel", "tenant": "operator", "job_id": jobID, "outcome": "already_finished", "status": 409.0,
			},
		},
		"a panic": {
			method: "GET", url: "/jobs", headers: authorized,
			want: m{"action": "job.list", "tenant": "operator", "outcome": "internal", "status": 500.0},
		},
		"a fault": {
			method: "HEAD", url: "/jobs/" + jobID, headers: authorized,
			want: m{"action": "job.read", "tenant": "operator", "job_id": jobID, "outcome": "internal", "status": 500.0},
		},
	} {
		ctx := t.Context()
		if tc.ctx != nil {
			ctx = tc.ctx
		}
		request := newRequest(ctx, t, tc.method, "http://localhost"+tc.url, strings.NewReader(tc.body), tc.headers...)
		if diff := cmp.Diff(tc.want, oneLine(t, h, lines, request)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// The address is the one that the trusted proxies name, whatever else a header has.
func TestTheAuditedAddressIsTheClients(t *testing.T) {
	t.Parallel()
	h, lines := auditedHandler(t, stubJobs{}, Settings{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for forwarded, want := range map[string]string{
		"192.0.2.9": "192.0.2.9", "evil\u2028, 192.0.2.9": "192.0.2.9", "2001:db8::1": "2001:db8::1",
		"::ffff:192.0.2.9": "192.0.2.9",
	} {
		request := newRequest(t.Context(), t, http.MethodGet, "http://localhost/jobs", nil, "X-Forwarded-For", forwarded)
		request.RemoteAddr = "10.1.2.3:4"
		h.ServeHTTP(httptest.NewRecorder(), request)
		if found := lines(); len(found) != 1 || found[0]["client"] != want {
			t.Errorf("%q: %v", forwarded, found)
		}
	}
	for _, nasty := range []string{"a\tb", strings.Repeat("x", 65), "\u2028", `"},{"`, "\x7f"} {
		request := newRequest(t.Context(), t, http.MethodGet, "http://localhost/jobs", nil)
		request.Header["X-Request-Id"] = []string{nasty}
		h.ServeHTTP(httptest.NewRecorder(), request)
		found := lines()
		if len(found) != 1 || found[0]["request_id"] == nasty {
			t.Errorf("%q: %v", nasty, found)
		}
	}
}

// The caller's tenant and key are in the line.
func TestTheCallerIsAudited(t *testing.T) {
	t.Parallel()
	state := &requestState{}
	ctx := context.WithValue(t.Context(), requestStateKey{}, state)
	ctx = jobs.WithCaller(ctx, jobs.Caller{Tenant: "acme", KeyID: "k1"})
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	noteCaller(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(httptest.NewRecorder(), request)
	if line := state.audit.Line(); line.Tenant != "acme" || line.KeyID != "k1" {
		t.Errorf("%+v", line)
	}
}

func BenchmarkAudit(b *testing.B) {
	for _, name := range []string{"off", "on"} {
		b.Run(name, func(b *testing.B) {
			log, err := audit.Open(audit.Settings{File: filepath.Join(b.TempDir(), "a")}, slog.Default(), func() {})
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			if name == "off" {
				log = nil
			}
			h := New(stubJobs{}, Config{
				Limits: jobs.DefaultLimits(), Audit: log, Metrics: telemetry.NewAPIMetrics(nil, slog.New(slog.DiscardHandler)), Logger: slog.New(slog.DiscardHandler),
			})
			defer h.Drain()
			request := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/jobs/"+jobID, nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), request)
			}
		})
	}
}
