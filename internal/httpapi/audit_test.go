package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cellblock/internal/audit"
	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

// auditedHandler returns a handler with an audit log, and a function that returns the lines since its last call,
// without the times.
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

// oneLine serves a request without a connection, so that the line is there when it returns, and returns the action, the
// outcome and the status, and the other fields by name.
func oneLine(t *testing.T, h *Handler, lines func() []map[string]any, request *http.Request) string {
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
	text := fmt.Sprintf("%v %v %v", found[0]["action"], found[0]["outcome"], found[0]["status"])
	for _, name := range slices.Sorted(maps.Keys(found[0])) {
		switch name {
		case "action", "outcome", "status", "request_id", "client":
		default:
			text += fmt.Sprintf(" %s=%v", name, found[0][name])
		}
	}
	return text
}

// Each operation of the contract has its line, but for a few that read nothing of a tenant.
func TestEachOperationIsAudited(t *testing.T) {
	t.Parallel()
	record := succeeded("1")
	record.Outcome.Files = []jobs.OutputFile{{Name: "hidden.csv", MediaType: "text/csv"}}
	h, lines := auditedHandler(t, stubJobs{
		get: func(context.Context, string, time.Duration) (jobs.Record, error) { return record, nil },
	}, Settings{Token: "t"})
	h.keys = stubKeys{}
	h.batches = &stubBatches{results: func(send func([]jobs.ItemResult) error) error { return send(nil) }}
	h.live = stubLive(func(_ context.Context, _ jobs.Position, send func([]jobs.Event) error) error {
		return send(nil)
	})
	h.files = fileMap{"": ""}
	uploads := make(chan jobs.Upload, 1)
	h.uploads = stubUploads{uploads, readAll, nil}
	var query jobs.UsageQuery
	h.usage, h.webhookSecrets = stubUsage{&query}, stubSecrets{}
	const script = `{"script":"def main(): pass","args":{"hidden":1}}`
	done := map[string]bool{
		// They have numbers, and name no job; a console reads some of them every two seconds.
		"GET /environments": true, "GET /healthz": true, "GET /readyz": true, "GET /metrics": true,
		"GET /workers": true, "GET /activity": true,
	}
	for _, tc := range []struct {
		operation, url, body, contentType string
		want                              string
	}{
		{"POST /execute", "/execute?", script, "application/json", "job.create ok 200 job_id=" + jobID},
		{"GET /jobs", "/jobs", "", "", "job.list ok 200"},
		{"GET /jobs/{id}", "/jobs/" + strings.ToUpper(jobID), "", "", "job.read ok 200 job_id=" + jobID},
		{"DELETE /jobs/{id}", "/jobs/" + jobID, "", "", "job.cancel ok 200 job_id=" + jobID},
		{
			"GET /jobs/{id}/events", "/jobs/" + jobID + "/events", "", "",
			"job.events ok 200 job_id=" + jobID,
		},
		{
			"GET /jobs/{id}/files/{path}", "/jobs/" + jobID + "/files/hidden.csv", "", "",
			"job.file ok 200 job_id=" + jobID,
		},
		{
			"", "/jobs/" + jobID + "/files/hidden/a.csv", "", "",
			"job.file not_found 404 job_id=" + jobID,
		},
		{
			"POST /batches", "/batches", script + "\n", ndjson,
			"batch.create ok 202 batch_id=" + batchID + " count=2",
		},
		{"GET /batches/{id}", "/batches/" + batchID, "", "", "batch.read ok 200 batch_id=" + batchID},
		{
			"GET /batches/{id}/results", "/batches/" + batchID + "/results", "", "",
			"batch.results ok 200 batch_id=" + batchID,
		},
		{
			"DELETE /batches/{id}", "/batches/" + batchID, "", "",
			"batch.cancel ok 200 batch_id=" + batchID,
		},
		{"POST /files", "/files?name=hidden.csv", "x", "text/csv", "file.create ok 201 file_id=" + storedID},
		{"GET /files/{file_id}", "/files/" + storedID, "", "", "file.read ok 200 file_id=" + storedID},
		{
			"DELETE /files/{file_id}", "/files/" + storedID, "", "",
			"file.delete ok 204 file_id=" + storedID,
		},
		{
			"GET /admin/tenants/{tenant}/webhook-secret", "/admin/tenants/acme/webhook-secret", "", "",
			"webhook_secret.read ok 200 target=acme",
		},
		{"GET /usage", "/usage", "", "", "usage.read ok 200"},
		{"GET /admin/keys", "/admin/keys", "", "", "key.list ok 200"},
		{
			"POST /admin/keys", "/admin/keys", `{"tenant":"acme","scopes":["run"],"name":"hidden"}`, "application/json",
			"key.create ok 201 target=" + aKeyID,
		},
		{
			"POST /admin/keys/{key_id}/rotate", "/admin/keys/" + aKeyID + "/rotate", "", "",
			"key.rotate ok 201 target=" + aKeyID,
		},
		{"DELETE /admin/keys/{key_id}", "/admin/keys/" + aKeyID, "", "", "key.revoke ok 200 target=" + aKeyID},
		{"POST " + runCodePath, runCodePath, printOne, "application/json", "job.create ok 200 job_id=" + jobID},
	} {
		method, _, _ := strings.Cut(tc.operation, " ")
		if tc.operation == "" {
			method = http.MethodGet
		}
		request := newRequest(t.Context(), t, method, "http://localhost"+tc.url, strings.NewReader(tc.body))
		request.Header.Set("Authorization", "Bearer t")
		if tc.contentType != "" {
			request.Header.Set("Content-Type", tc.contentType)
		}
		if got := oneLine(t, h, lines, request); got != tc.want+" tenant=operator" {
			t.Errorf("%s: %s", tc.url, got)
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
	h.keys, h.webhookSecrets = stubKeys{}, stubSecrets{}
	authorized := []string{"Authorization", "Bearer secret", "Content-Type", "application/json"}
	for name, tc := range map[string]struct {
		ctx               context.Context //nolint:containedctx // of the request
		method, url, body string
		headers           []string
		want              string
	}{
		"without the token": {
			method: "GET", url: "/jobs/" + jobID, headers: []string{"Authorization", "Bearer hidden"},
			want: "job.read unauthorized 401 job_id=" + jobID,
		},
		"without the token, unknown": {
			method: "GET", url: "/admin/hidden",
			want: "other unauthorized 401",
		},
		"from a page": {
			method: "POST", url: "/execute", headers: append(authorized, "Origin", "https://hidden.example"),
			want: "job.create cross_origin 403",
		},
		"unknown path": {
			method: "GET", url: "/hidden", headers: authorized,
			want: "other not_found 404 tenant=operator",
		},
		"another method": {
			method: "PUT", url: "/jobs/" + jobID, headers: authorized,
			want: "other method_not_allowed 405 tenant=operator",
		},
		"no id": {
			method: "DELETE", url: "/jobs/hidden%0Ahidden", headers: authorized,
			want: "job.cancel not_found 404 tenant=operator",
		},
		"no file's id": {
			method: "GET", url: "/files/hidden%e2%80%a8%1b", headers: authorized,
			want: "file.read not_found 404 tenant=operator",
		},
		"a key for its id": {
			method: "DELETE", url: "/admin/keys/" + aKey, headers: authorized,
			want: "key.revoke not_found 404 tenant=operator",
		},
		"a key for a tenant": {
			method: "GET", url: "/admin/tenants/" + aKey + "/webhook-secret", headers: authorized,
			want: "webhook_secret.read ok 200 tenant=operator",
		},
		"a key for a job": {
			method: "GET", url: "/jobs/" + aKey, headers: authorized,
			want: "job.read not_found 404 tenant=operator",
		},
		"an unknown parameter": {
			method: "GET", url: "/jobs?hidden=hidden", headers: authorized,
			want: "job.list invalid_request 400 tenant=operator",
		},
		"no JSON": {
			method: "POST", url: "/execute", body: "hidden", headers: authorized,
			want: "job.create invalid_request 400 tenant=operator",
		},
		"a full queue": {
			method: "POST", url: "/execute", body: `{"script":"hidden","async":true}`, headers: authorized,
			want: "job.create queue_full 429 tenant=operator",
		},
		"a job that failed": {
			method: "POST", url: "/execute", body: `{"script":"hidden"}`, headers: authorized,
			want: "job.create timeout 422 job_id=" + jobID + " tenant=operator",
		},
		"SandboxFusion's door": {
			method: "POST", url: runCodePath, body: printOne, headers: authorized,
			want: "job.create timeout 200 job_id=" + jobID + " tenant=operator",
		},
		"a client that hung up": {
			ctx: gone, method: "POST", url: "/execute", body: `{"script":"gone"}`, headers: authorized,
			want: "job.create client_gone 499 job_id=" + jobID + " tenant=operator",
		},
		"ended": {
			method: "DELETE", url: "/jobs/" + jobID, headers: authorized,
			want: "job.cancel already_finished 409 job_id=" + jobID + " tenant=operator",
		},
		"a panic": {
			method: "GET", url: "/jobs", headers: authorized,
			want: "job.list internal 500 tenant=operator",
		},
		"a fault": {
			method: "HEAD", url: "/jobs/" + jobID, headers: authorized,
			want: "job.read internal 500 job_id=" + jobID + " tenant=operator",
		},
	} {
		ctx := t.Context()
		if tc.ctx != nil {
			ctx = tc.ctx
		}
		request := newRequest(ctx, t, tc.method, "http://localhost"+tc.url, strings.NewReader(tc.body), tc.headers...)
		if got := oneLine(t, h, lines, request); got != tc.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The address is the one that the trusted proxies name, whatever else a header has.
func TestTheAuditedAddressIsTheClients(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	h, lines := auditedHandler(t, stubJobs{}, Settings{TrustedProxies: proxies})
	for forwarded, want := range map[string]string{
		"192.0.2.9": "192.0.2.9", "evil\u2028, 192.0.2.9": "192.0.2.9", "2001:db8::1": "2001:db8::1",
		"::ffff:192.0.2.9": "192.0.2.9",
	} {
		request := newRequest(t.Context(), t, http.MethodGet, "http://localhost/jobs", nil)
		request.Header.Set("X-Forwarded-For", forwarded)
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
	h, lines := auditedHandler(t, stubJobs{}, Settings{Token: "t"})
	h.keys = stubKeys{scopes: []jobs.Scope{jobs.ScopeRead}}
	request := newRequest(t.Context(), t, http.MethodGet, "http://localhost/jobs", nil)
	request.Header.Set("Authorization", "Bearer "+aKey)
	h.ServeHTTP(httptest.NewRecorder(), request)
	if found := lines(); len(found) != 1 || found[0]["tenant"] != "acme" || found[0]["key_id"] != aKeyID {
		t.Errorf("%v", found)
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
			quiet := slog.New(slog.DiscardHandler)
			h := New(stubJobs{}, Config{
				Limits: jobs.DefaultLimits(), Audit: log, Metrics: telemetry.NewAPIMetrics(nil, quiet), Logger: quiet,
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
