package tenants

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// meta is that of a client of MCP that knows tasks.
const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",` +
	`"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}`

// mcpCall returns the request for a method of the protocol.
func mcpCall(method, name, params string) request {
	return request{
		method: "POST", path: "/mcp",
		body: fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{%s,%s}}`, method, params, meta),
		headers: []string{
			"Accept", "application/json, text/event-stream", "Mcp-Protocol-Version", "2026-07-28", "Mcp-Method", method,
			"Mcp-Name", name,
		},
	}
}

// tool returns the request for a tool.
func tool(name, arguments string) request {
	return mcpCall("tools/call", name, fmt.Sprintf(`"name":%q,"arguments":%s`, name, arguments))
}

func task(method string) request { return mcpCall(method, "{id}", `"taskId":"{id}"`) }

func mcpAttempts() (all []attempt) {
	const reading = `{"code":"open('in').read()","files":[{"path":"in",%s}]}`
	onJobs := map[string]request{
		"mcp/get_job":     tool("get_job", `{"job_id":"{id}"}`),
		"mcp/read_file":   tool("read_file", `{"job_id":"{id}","path":"`+fileName+`"}`),
		"mcp/read_stdout": tool("read_file", `{"job_id":"{id}","path":"@stdout"}`),
		"mcp/read_result": tool("read_file", `{"job_id":"{id}","path":"@result"}`),
		"mcp/run_with_file_of_job": tool("run_python",
			fmt.Sprintf(reading, `"job_id":"{id}","name":"`+fileName+`"`)),
		"mcp/get_task":    task("tasks/get"),
		"mcp/update_task": task("tasks/update"),
	}
	for name, r := range onJobs {
		all = append(all, attempt{name: name, try: func(_ *testing.T, as *actor) string {
			return as.compareAll(r, world.owned.ended)
		}})
	}
	return append(all,
		attempt{name: "mcp/run_with_stored_file", try: func(_ *testing.T, as *actor) string {
			return as.compareAll(tool("run_python", fmt.Sprintf(reading, `"file_id":"{id}"`)), world.owned.file)
		}},
		attempt{name: "mcp/cancel_job", try: func(t *testing.T, as *actor) string {
			return tryCancelBy(t, as, tool("cancel_job", `{"job_id":"{id}"}`))
		}},
		attempt{name: "mcp/cancel_task", try: func(t *testing.T, as *actor) string {
			return tryCancelBy(t, as, task("tasks/cancel"))
		}},
		attempt{name: "mcp/list_what_there_is", try: tryMCPLists, control: func(*testing.T) string {
			return world.acme.send(tool("get_job", `{"job_id":"{id}"}`).withID(world.owned.ended)).body
		}},
		attempt{name: "mcp/session_of_another", try: func(_ *testing.T, as *actor) string {
			r := tool("get_job", `{"job_id":"{id}"}`)
			r.headers = append(r.headers, "Mcp-Session-Id", "acme")
			return as.compareAll(r, world.owned.ended)
		}})
}

// tryCancelBy cancels a job that waits and one that runs.
func tryCancelBy(t *testing.T, as *actor, r request) string {
	running := makeJob(t, job(map[string]any{"script": sleepScript, "async": true}), "running")
	queued := makeJob(t, waitingBody, "queued")
	got := as.compareAll(r, queued, running)
	for _, id := range []string{queued, running} {
		if state := stateOf(id); got == "" && state == "cancelled" {
			got = "the job was cancelled"
		}
		world.acme.send(request{method: "DELETE", path: "/jobs/" + id})
	}
	return got
}

// tryMCPLists calls the methods that list or read what a server has. What is acme's would be noted.
func tryMCPLists(_ *testing.T, as *actor) string {
	for _, method := range []string{
		"tasks/list", "tasks/result", "resources/list", "resources/templates/list", "prompts/list", "tools/list",
	} {
		as.send(mcpCall(method, world.owned.ended, `"taskId":"`+world.owned.ended+`"`))
	}
	for _, uri := range []string{"job://", "file:///jobs/", world.URL + "/jobs/"} {
		uri += world.owned.ended
		got := as.send(mcpCall("resources/read", uri, fmt.Sprintf(`"uri":%q`, uri)))
		if strings.Contains(got.body, `"contents"`) {
			return got.String()
		}
	}
	return ""
}

// permitted reports whether a call of MCP did something.
func permitted(got answer) bool {
	return got.status == http.StatusOK && !strings.Contains(got.body, `"isError":true`) &&
		!strings.Contains(got.body, `"error":{`)
}
