package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/internal/jobs"
)

// TestOtherDoorsHideWhatBelongsToOthers: the MCP server, and SandboxFusion's door.
func TestOtherDoorsHideWhatBelongsToOthers(t *testing.T) {
	f := newTenants(t)
	before := f.owned(t)
	var tools struct {
		Result struct{ Tools []struct{ Name string } }
	}
	list := f.send(t, "beta", callMCP("tools/list", "", ""))
	if err := json.Unmarshal([]byte(messageOf(list.body)), &tools, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatalf("%v: %s", err, list.body)
	}
	for _, tool := range tools.Result.Tools {
		arguments := toolsOfOthers[tool.Name]
		if len(arguments) == 0 {
			t.Errorf("toolsOfOthers has no calls of %s", tool.Name)
		}
		for _, a := range arguments {
			f.compare(t, callMCP("tools/call", tool.Name, `"name":"`+tool.Name+`","arguments":`+a))
		}
	}
	for _, method := range []string{"tasks/get", "tasks/cancel", "tasks/update"} {
		f.compare(t, callMCP(method, "{job}", `"taskId":"{job}"`))
	}
	if got := f.send(t, "beta", request{method: "GET", path: "/jobs"}); got.body != emptyList {
		t.Errorf("beta has the jobs %s", got.body)
	}
	ran := request{method: "POST", path: "/compat/sandboxfusion/run_code", body: `{"code":"x","language":"python",` +
		`"compile_timeout":1,"run_timeout":1,"files":{},"fetch_files":["out.csv","outputs/out.csv"]}`}
	ended := f.endNext(t, "beta")
	if got := f.send(t, "beta", ran); got.status != http.StatusOK || f.leaks(ran, got) {
		t.Errorf("SandboxFusion's door: %+v", got)
	}
	job := f.send(t, "beta", request{method: "GET", path: "/jobs/" + <-ended})
	if !strings.Contains(job.body, `"tenant":"beta"`) {
		t.Errorf("its job: %s", job.body)
	}
	f.wantUnchanged(t, before)
	if err := f.end(t); err != nil {
		t.Error(err)
	}
}

// toolsOfOthers are the arguments of calls of each tool, by another tenant.
var toolsOfOthers = map[string][]string{
	"run_python": {`{"code":"x","files":[` + referredJob + `]}`, `{"code":"x","files":[` + referredFile + `]}`},
	"get_job":    {`{"job_id":"{job}"}`, `{"job_id":"{job}","wait_seconds":0}`},
	"cancel_job": {`{"job_id":"{job}"}`},
	"read_file": {
		`{"job_id":"{job}","path":"out.csv"}`, `{"job_id":"{job}","path":"@stdout"}`,
		`{"job_id":"{job}","path":"@result"}`,
	},
	"list_environments": {`{}`},
}

// callMCP returns a request of a client that knows tasks. Failures of tools are answers, with the status 200.
func callMCP(method, name, params string) request {
	const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
		`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`
	if params != "" {
		params += ","
	}
	return request{
		method: "POST", path: "/mcp", status: http.StatusOK,
		body: fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s%s}}`, method, params, meta),
		headers: []string{
			"Accept", "application/json, text/event-stream", "Mcp-Protocol-Version", "2026-07-28",
			"Mcp-Method", method, "Mcp-Name", name,
		},
	}
}

// messageOf returns the message of an answer, which may be an event stream.
func messageOf(body string) string {
	for line := range strings.Lines(body) {
		if data, ok := strings.CutPrefix(line, "data: "); ok && strings.Contains(data, `"result"`) {
			return data
		}
	}
	return body
}

// endNext ends the next job of a tenant, as a worker would, and sends its id.
func (f *tenantsFixture) endNext(t *testing.T, tenant jobs.Tenant) <-chan string {
	t.Helper()
	ended := make(chan string, 1)
	caller := jobs.Caller{Tenant: tenant}
	go func() {
		defer close(ended)
		deadline := time.Now().Add(10 * time.Second)
		for ; time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			page, err := f.records.List(t.Context(), caller, jobs.ListQuery{State: jobs.StateQueued, Limit: 1})
			if err != nil || len(page.Jobs) == 0 {
				continue
			}
			if _, err := f.records.End(t.Context(), page.Jobs[0].ID, jobs.Outcome{Stdout: "own"}); err == nil {
				ended <- page.Jobs[0].ID
				return
			}
		}
	}()
	return ended
}
