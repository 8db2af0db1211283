package mcpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/internal/jobs"
)

// TestToolsNeedTheirScope calls each tool with keys of one scope each, and without any.
func TestToolsNeedTheirScope(t *testing.T) {
	t.Parallel()
	record := ended(jobs.Outcome{Result: []byte("1"), Files: []jobs.OutputFile{{Name: "a", Size: 1, Key: "x"}}})
	service := stubJobs{
		execute: func(context.Context, jobs.Request) (jobs.Record, error) { return record, nil },
		get:     func(context.Context, string, time.Duration) (jobs.Record, error) { return record, nil },
		cancel:  func(string) (jobs.Record, error) { return record, nil },
	}
	tools := map[string]struct {
		scope     jobs.Scope
		arguments map[string]any
	}{
		"run_python":        {jobs.ScopeRun, map[string]any{"code": "1"}},
		"get_job":           {jobs.ScopeRead, map[string]any{"job_id": jobID}},
		"read_file":         {jobs.ScopeRead, map[string]any{"job_id": jobID, "path": "a"}},
		"list_environments": {jobs.ScopeRead, map[string]any{}},
		"cancel_job":        {jobs.ScopeCancel, map[string]any{"job_id": jobID}},
	}
	for _, scope := range append(jobs.Scopes(), "none") {
		url, _ := serveTo(t, newLocal(t, service), jobs.Caller{Tenant: "acme", Scopes: []jobs.Scope{scope}})
		session := connect(t, url, nil)
		listed, err := session.ListTools(t.Context(), nil)
		if err != nil || len(listed.Tools) != len(tools) {
			t.Fatalf("%v: %d tools; this test knows %d", err, len(listed.Tools), len(tools))
		}
		for name, tool := range tools {
			result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: name, Arguments: tool.arguments})
			if err != nil {
				t.Fatal(err)
			}
			allowed := scope == tool.scope || scope == jobs.ScopeAdmin
			refused := strings.Contains(textOfResult(result), `error forbidden: the key of this connection does not `+
				`have the scope "`+string(tool.scope)+`"`)
			if refused == allowed || result.IsError == allowed {
				t.Errorf("%s with the scope %s: %s", name, scope, textOfResult(result))
			}
		}
	}
}

// TestMethodsOfTasksNeedTheirScope: a caller that may run and not read gets the answer instead of a task.
func TestMethodsOfTasksNeedTheirScope(t *testing.T) {
	t.Parallel()
	record := jobs.Record{ID: jobID, State: jobs.StateRunning}
	service := stubJobs{
		execute: func(context.Context, jobs.Request) (jobs.Record, error) { return record, nil },
		get:     func(context.Context, string, time.Duration) (jobs.Record, error) { return record, nil },
		cancel:  func(string) (jobs.Record, error) { return record, nil },
	}
	const run = `"name":"run_python","arguments":{"code":"1"}`
	for _, scope := range append(jobs.Scopes(), "none") {
		url, _ := serveTo(t, newLocal(t, service), jobs.Caller{Tenant: "acme", Scopes: []jobs.Scope{scope}})
		for method, needed := range map[string]jobs.Scope{
			"tasks/get": jobs.ScopeRead, "tasks/update": jobs.ScopeRead, "tasks/cancel": jobs.ScopeCancel,
		} {
			got := postMessage(t, url, method, jobID, `"taskId":"`+jobID+`"`)
			allowed := slices.Contains([]jobs.Scope{needed, jobs.ScopeAdmin}, scope)
			if strings.Contains(got, "does not have the scope") == allowed {
				t.Errorf("%s with the scope %s: %s", method, scope, got)
			}
		}
		got, isTask := postMessage(t, url, "tools/call", "run_python", run), false
		switch isTask = strings.Contains(got, `"resultType":"task"`); scope {
		case jobs.ScopeAdmin:
			if !isTask {
				t.Errorf("the operator has no task: %s", got)
			}
		case jobs.ScopeRun:
			if isTask || !strings.Contains(got, "The job is running") {
				t.Errorf("a caller without the scope read: %s", got)
			}
		}
	}
}

// postMessage sends a message of a client that declares tasks, and returns the answer.
func postMessage(t *testing.T, url, method, name, params string) string {
	t.Helper()
	body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + `,"_meta":{` +
		`"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"` + tasksExtension + `":{}}}}}}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for header, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name,
	} {
		request.Header.Set(header, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}
