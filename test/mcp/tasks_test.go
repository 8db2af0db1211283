package mcp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// declared is the _meta of a request at 2026-07-28 by a client that knows tasks.
const declared = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`

// postTasks sends a request of such a client.
func postTasks(t *testing.T, method, name, params string) answer {
	t.Helper()
	message := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s,%s}}`, method, params, declared)
	return post(t, service, message, func(r *http.Request) {
		r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
		r.Header.Set("Mcp-Method", method)
		r.Header.Set("Mcp-Name", name)
	})
}

// TestALongCallBecomesATask follows it to its end. The task is the job.
func TestALongCallBecomesATask(t *testing.T) {
	t.Parallel()
	got := postTasks(t, "tools/call", "run_python",
		`"name":"run_python","arguments":{"code":"import time\nprint(1)\ntime.sleep(5)\n7"}`)
	var created struct {
		Result struct{ ResultType, TaskID, Status string } `json:"result"`
	}
	if len(got.messages()) != 1 {
		t.Fatal(got.body)
	}
	err := json.Unmarshal([]byte(got.messages()[0]), &created, json.MatchCaseInsensitiveNames(true))
	if task := created.Result; err != nil || task.ResultType != "task" || task.Status != "working" {
		t.Fatalf("%v: %s", err, got.body)
	}
	id := created.Result.TaskID
	awaitStatus(t, id, "succeeded")
	for _, want := range []string{
		`"resultType":"complete"`, `"status":"completed"`, `"result: 7"`, `"result":7`, `"ttlMs":3600000`,
	} {
		if got := postTasks(t, "tasks/get", id, `"taskId":"`+id+`"`); !strings.Contains(got.body, want) {
			t.Errorf("%s is not in %s", want, got.body)
		}
	}
	quick := postTasks(t, "tools/call", "run_python", `"name":"run_python","arguments":{"code":"8"}`)
	if !strings.Contains(quick.body, `"result: 8"`) {
		t.Error(quick.body)
	}
}

// fixtures are the tools that the suite's scenarios for tasks call, by what run_python runs instead.
var fixtures = map[string]func(arguments map[string]any) string{
	"greet":       func(arguments map[string]any) string { return fmt.Sprintf("'Hello, %v!'", arguments["name"]) },
	"failing_job": func(map[string]any) string { return "import time\ntime.sleep(4)\n1/0" },
	"slow_compute": func(arguments map[string]any) string {
		seconds, _ := arguments["seconds"].(float64)
		if seconds > 0 {
			seconds = min(seconds+3.5, 14) // longer than calls wait before they become tasks
		}
		return "import time\ntime.sleep(" + strconv.FormatFloat(seconds, 'f', -1, 64) + ")"
	},
}

// fixtureProxy serves the service with the fixtures as further tools, and returns its URL.
func fixtureProxy(t *testing.T) string {
	t.Helper()
	target, err := url.Parse(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Set("Authorization", "Bearer "+token)
			rewriteCall(t, r.Out)
		},
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			for name := range fixtures {
				tool := fmt.Sprintf(`"tools":[{"name":%q,"inputSchema":{"type":"object"}},`, name)
				body = bytes.Replace(body, []byte(`"tools":[`), []byte(tool), 1)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			return err
		},
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// rewriteCall makes a call of a fixture one of run_python.
func rewriteCall(t *testing.T, r *http.Request) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	var message struct {
		Params struct {
			Name      string         `json:"name"`
			Arguments map[string]any `json:"arguments"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &message) == nil {
		if fixture, ok := fixtures[message.Params.Name]; ok {
			var whole map[string]jsontext.Value
			var params map[string]jsontext.Value
			_ = json.Unmarshal(body, &whole)
			_ = json.Unmarshal(whole["params"], &params)
			params["name"] = jsontext.Value(`"run_python"`)
			params["arguments"] = jsontext.Value(`{"code":` + quote(t, fixture(message.Params.Arguments)) + `}`)
			whole["params"], _ = json.Marshal(params)
			body, _ = json.Marshal(whole)
			if r.Header.Get("Mcp-Name") != "" {
				r.Header.Set("Mcp-Name", "run_python")
			}
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
}

// notPlayed are the checks that scripts cannot play.
var notPlayed = map[string]bool{
	// A job has no errors of the protocol: a script that fails completes its task.
	"sep-2663-tasks-get-status-failed": true,
	// It needs a task that asks for input.
	"tasks-result-type-complete-on-non-task-responses": true,
	// It compares the whole text, and ours has a label before the result.
	"tasks-headers-tolerate-mcp-method-on-tools-call": true,
}

// TestTasksConformance runs the scenarios of the extension whose fixtures scripts can play.
func TestTasksConformance(t *testing.T) {
	t.Parallel()
	node := tool(t, "node_modules", ".bin", "node")
	suite := tool(t, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
	target := fixtureProxy(t) + "/mcp"
	for _, scenario := range []string{
		"tasks-lifecycle", "tasks-capability-negotiation", "tasks-wire-fields", "tasks-request-state-removal",
		"tasks-request-headers", "tasks-dispatch-and-envelope",
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.CommandContext(testContext(t), node, suite, "server", "--url", target, "--scenario", scenario,
				"--timeout", "60000", "--output-dir", dir)
			out, err := cmd.CombinedOutput()
			reports, _ := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
			if len(reports) != 1 {
				t.Fatalf("no report: %v\n%s", err, out)
			}
			passed := 0
			for _, check := range readChecks(t, reports[0]) {
				if check.Status == "FAILURE" && !notPlayed[check.ID] {
					t.Errorf("%s: %s", check.ID, check.Message)
				} else if check.Status == "SUCCESS" {
					passed++
				}
			}
			if passed < 2 {
				t.Errorf("only %d checks passed", passed)
			}
		})
	}
}
