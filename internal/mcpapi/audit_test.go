package mcpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cellblock/internal/audit"
	"cellblock/internal/jobs"
)

// TestCallsAreNotedForTheAudit: each message of POST /mcp is one request, with an entry of its own.
func TestCallsAreNotedForTheAudit(t *testing.T) {
	t.Parallel()
	handler := NewHandler(newLocal(t, stubJobs{
		execute: func(_ context.Context, request jobs.Request) (jobs.Record, error) {
			switch request.Script {
			case "full":
				return jobs.Record{}, jobs.Errorf(jobs.CodeQueueFull, "full")
			case "fails":
				return ended(jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeException, Message: "x"}}), nil
			default:
				return ended(jobs.Outcome{Result: []byte("1")}), nil
			}
		},
		get: func(_ context.Context, id string, _ time.Duration) (jobs.Record, error) {
			if id != jobID {
				return jobs.Record{}, jobs.NotFound("job")
			}
			return ended(jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeException, Message: "x"}}), nil
		},
		cancel: func(string) (jobs.Record, error) {
			return jobs.Record{}, jobs.Errorf(jobs.CodeAlreadyFinished, "ended")
		},
	}), Settings{Wait: time.Minute, Logger: testLogger(t)})
	const other, capabilities = "01981f3e-7c1a-7000-8000-000000000002", `"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":` +
		`{"extensions":{"io.modelcontextprotocol/tasks":{}}}},`
	tool := func(name, arguments string) string { return `"name":"` + name + `","arguments":` + arguments }
	line := func(action audit.Action, job, outcome string) audit.Line {
		return audit.Line{Action: action, JobID: job, Outcome: outcome}
	}
	for name, tc := range map[string]struct {
		method, params string
		want           audit.Line
	}{
		"run": {"tools/call", tool("run_python", `{"code":"1"}`), line(audit.JobCreate, jobID, "")},
		"run, failed": {
			"tools/call", tool("run_python", `{"code":"fails"}`),
			line(audit.JobCreate, jobID, "exception"),
		},
		"run, refused": {
			"tools/call", tool("run_python", `{"code":"full"}`), line(audit.JobCreate, "", "queue_full"),
		},
		"run, invalid": {
			"tools/call", tool("run_python", `{"cod":"x"}`), line(audit.JobCreate, "", "invalid_request"),
		},
		"get": {
			"tools/call", tool("get_job", `{"job_id":"`+strings.ToUpper(jobID)+`"}`),
			line(audit.JobRead, jobID, ""),
		},
		"get, unknown": {
			"tools/call", tool("get_job", `{"job_id":"`+other+`"}`),
			line(audit.JobRead, other, "not_found"),
		},
		"get, nasty": {
			"tools/call", tool("get_job", `{"job_id":"\n\u2028`+other+`"}`),
			line(audit.JobRead, "", "invalid_request"),
		},
		"cancel": {
			"tools/call", tool("cancel_job", `{"job_id":"`+jobID+`"}`),
			line(audit.JobCancel, jobID, "already_finished"),
		},
		"read a file": {
			"tools/call", tool("read_file", `{"job_id":"`+jobID+`","path":"hidden.csv"}`),
			line(audit.JobFile, jobID, "not_found"),
		},
		"environments": {"tools/call", tool("list_environments", `{}`), audit.Line{}},
		"environments, refused": {
			"tools/call", tool("list_environments", `{"x":1}`), line(audit.Other, "", "invalid_request"),
		},
		"list tools":  {"tools/list", "", audit.Line{}},
		"read a task": {"tasks/get", `"taskId":"` + jobID + `"`, line(audit.JobRead, jobID, "")},
		"an unknown task": {
			"tasks/get", `"taskId":"` + other + `"`, line(audit.JobRead, other, "refused"),
		},
		"cancel a task": {"tasks/cancel", `"taskId":"` + jobID + `"`, line(audit.JobCancel, jobID, "")},
	} {
		body := `{"jsonrpc":"2.0","id":1,"method":"` + tc.method + `","params":{` +
			strings.TrimSuffix(capabilities+tc.params, ",") + `}}`
		entry := &audit.Entry{}
		request := httptest.NewRequestWithContext(

			jobs.WithCaller(audit.WithEntry(t.Context(), entry), jobs.OperatorCaller()),
			http.MethodPost, "http://localhost/mcp", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Accept", "application/json, text/event-stream")
		request.Header.Set("Mcp-Protocol-Version", "2026-07-28")
		request.Header.Set("Mcp-Method", tc.method)
		if called, found := strings.CutPrefix(tc.params, `"name":"`); found {
			called, _, _ = strings.Cut(called, `"`)
			request.Header.Set("Mcp-Name", called)
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if diff := cmp.Diff(tc.want, entry.Line()); diff != "" {
			t.Errorf("%s: %s\n%s", name, diff, recorder.Body)
		}
	}
}
