package mcp

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"cellblock/client"
)

// cache is the folder in which `scripts/setup --mcp` installs clients and the conformance suite.
const cache = "../../.cache/mcp"

// tool returns the path of an installed program, or ends the test.
func tool(t *testing.T, parts ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{cache}, parts...)...))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%v: scripts/setup --mcp installs it", err)
	}
	return path
}

// output runs a program to its end, and returns its standard output.
func output(t *testing.T, name string, arguments ...string) string {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), name, arguments...)
	cmd.Env = append(os.Environ(), "CELLBLOCK_URL="+service.URL, "CELLBLOCK_TOKEN="+token, "HOME="+t.TempDir())
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s %s: %v", filepath.Base(name), strings.Join(arguments, " "), err)
	}
	return string(out)
}

// pythonAnswer is a tool's answer as agent.py prints it.
type pythonAnswer struct {
	Content []struct {
		Type, Text, Data, URI string
	} `json:"content"`
	IsError    bool           `json:"isError"`
	Structured map[string]any `json:"structuredContent"`
}

func (a pythonAnswer) has(kind, part string) bool {
	for _, content := range a.Content {
		if content.Type == kind && strings.Contains(content.Text+content.Data+content.URI, part) {
			return true
		}
	}
	return false
}

// TestPythonClients calls every tool with the SDK of the protocol and with fastmcp.
func TestPythonClients(t *testing.T) {
	t.Parallel()
	for _, library := range []string{"mcp", "fastmcp"} {
		for name, target := range map[string]string{"http": service.URL + "/mcp", "stdio": program} {
			t.Run(library+" over "+name, func(t *testing.T) {
				t.Parallel()
				var got struct {
					Tools, Progress []string
					Run             pythonAnswer `json:"run_python"`
					Failed          pythonAnswer
					Get             pythonAnswer `json:"get_job"`
					Read            pythonAnswer `json:"read_file"`
					Cancel          pythonAnswer `json:"cancel_job"`
					Environments    pythonAnswer `json:"list_environments"`
				}
				out := output(t, tool(t, "python", "bin", "python"), "testdata/agent.py", library, target)
				if err := json.Unmarshal([]byte(out), &got, json.MatchCaseInsensitiveNames(true)); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				for what, ok := range map[string]bool{
					"five tools":     len(got.Tools) == 5,
					"progress":       strings.Join(got.Progress, "") == "from the sandbox\n",
					"the result":     got.Run.has("text", "result: 42") && got.Run.Structured["result"] == 42.0,
					"a picture":      got.Run.has("image", "iVBORw0KGgo"),
					"a link":         got.Run.has("resource_link", "/files/out.csv"),
					"a failure":      got.Failed.IsError && got.Failed.has("text", "ZeroDivisionError"),
					"the same later": got.Get.has("text", "result: 42"),
					"the file":       got.Read.has("text", "a,b\n1,2\n"),
					"an ended job":   got.Cancel.IsError && got.Cancel.has("text", "already_finished"),
					"environments":   got.Environments.has("text", "default"),
				} {
					if !ok {
						t.Errorf("%s: not there in %s", what, out)
					}
				}
			})
		}
	}
}

// TestInspector lists and calls the tools with the inspector's command line, which judges their schemas too.
func TestInspector(t *testing.T) {
	t.Parallel()
	node, inspector := tool(t, "node_modules", ".bin", "node"), tool(t, "node_modules", ".bin", "mcp-inspector")
	targets := map[string][]string{
		"http": {service.URL + "/mcp", "--transport", "http", "--header", "Authorization: Bearer " + token},
		"stdio": {
			"-e", "CELLBLOCK_URL=" + service.URL, "-e", "CELLBLOCK_TOKEN=" + token, program, "mcp",
		},
	}
	for name, target := range targets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inspect := func(words ...string) string {
				return output(t, node, append(append([]string{inspector, "--cli"}, target...), words...)...)
			}
			call := func(name string, arguments ...string) string {
				words := []string{"--method", "tools/call", "--tool-name", name}
				for _, argument := range arguments {
					words = append(words, "--tool-arg", argument)
				}
				return inspect(words...)
			}
			if out := inspect("--method", "tools/list", "--strict"); strings.Count(out, `"inputSchema"`) != 5 {
				t.Error(out)
			}
			out := call("run_python", "code=open('outputs/x.txt', 'w').write('12')")
			var run struct {
				Structured struct {
					JobID string `json:"job_id"`
				} `json:"structuredContent"`
			}
			if err := json.Unmarshal([]byte(out), &run); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			id := "job_id=" + run.Structured.JobID
			for _, answer := range []struct{ got, want string }{
				{call("get_job", id), `"result": 2`},
				{call("read_file", id, "path=x.txt"), `"text": "12"`},
				{call("list_environments"), `"name": "default"`},
			} {
				if !strings.Contains(answer.got, answer.want) {
					t.Errorf("%s is not in %s", answer.want, answer.got)
				}
			}
			const sleeps = "import time\ndef main(): time.sleep(14)"
			running, err := newClient(t).Submit(t.Context(), client.Request{Script: sleeps})
			if err != nil {
				t.Fatal(err)
			}
			call("cancel_job", "job_id="+running.JobID)
			awaitStatus(t, running.JobID, "cancelled")
		})
	}
}

// conformanceCheck is a check in a report of the conformance suite.
type conformanceCheck struct {
	ID      string `json:"id"`
	Status  string `json:"status"`
	Message string `json:"errorMessage"`
}

// TestConformance runs everything that the revisions of the protocol require of a server. Checks may fail only if
// docs/mcp.md names them, with the reason, and only as long as they do.
func TestConformance(t *testing.T) {
	t.Parallel()
	node := tool(t, "node_modules", ".bin", "node")
	suite := tool(t, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
	reasons := documentedReasons(t)
	used, passed := map[string]bool{}, 0
	for _, revision := range []string{"2025-11-25", "2026-07-28"} {
		dir := t.TempDir()
		cmd := exec.CommandContext(testContext(t), node, suite, "server", "--url", open.URL+"/mcp",
			"--requirements", revision, "--output-dir", dir)
		out, err := cmd.CombinedOutput() // its status is 1, since some checks fail
		reports, _ := filepath.Glob(filepath.Join(dir, "*", "checks.json"))
		if len(reports) < 20 {
			t.Fatalf("%d reports: %v\n%s", len(reports), err, out)
		}
		for _, report := range reports {
			scenario := scenarioOf(report)
			for _, check := range readChecks(t, report) {
				name := scenario + "/" + check.ID
				isDocumented := reasons[scenario] && check.ID != "wire-schema-valid" || reasons[name]
				switch {
				case check.Status == "SUCCESS":
					passed++
				case check.Status == "FAILURE" && !isDocumented:
					t.Errorf("%s: %s: %s", revision, name, check.Message)
				case check.Status == "FAILURE":
					used[scenario], used[name] = true, true
				}
			}
		}
	}
	for name := range reasons {
		if !used[name] {
			t.Errorf("docs/mcp.md names %s, which passes", name)
		}
	}
	if passed < 60 {
		t.Errorf("only %d checks passed", passed)
	}
}

// scenarioOf returns the scenario of a report in a folder such as server-tools-list-2026-11-30T23-56-09-189Z.
func scenarioOf(report string) string {
	name := strings.TrimPrefix(filepath.Base(filepath.Dir(report)), "server-")
	const stamp = len("-2026-11-30T23-56-09-189Z")
	return name[:len(name)-stamp]
}

func readChecks(t *testing.T, path string) []conformanceCheck {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var checks []conformanceCheck
	if err := json.Unmarshal(content, &checks); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", path, err))
	}
	return checks
}
