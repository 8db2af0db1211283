package mcp

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// document returns docs/mcp.md.
func document(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../../docs/mcp.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// blocks returns the JSON blocks behind a comment in docs/mcp.md.
func blocks(t *testing.T, comment string) []string {
	t.Helper()
	_, after, ok := strings.Cut(document(t), "<!-- "+comment+" -->\n")
	if !ok {
		t.Fatalf("docs/mcp.md has no %q", comment)
	}
	after, _, _ = strings.Cut(after, "\n## ")
	var all []string
	for _, match := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(after, -1) {
		all = append(all, match[1])
	}
	return all
}

var reasonRow = regexp.MustCompile("(?m)^\\| `([a-z0-9/-]+)` \\| .+ \\|$")

// documentedReasons returns the scenarios and checks of the conformance suite for which docs/mcp.md has a reason.
func documentedReasons(t *testing.T) map[string]bool {
	t.Helper()
	_, section, _ := strings.Cut(document(t), "\n## Conformance\n")
	reasons := map[string]bool{}
	for _, match := range reasonRow.FindAllStringSubmatch(section, -1) {
		reasons[match[1]] = true
	}
	return reasons
}

// TestDocumentedConfigurations starts the inspector with the configurations as printed, but for the token, the port
// and the path of the program.
func TestDocumentedConfigurations(t *testing.T) {
	t.Parallel()
	node, inspector := tool(t, "node_modules", ".bin", "node"), tool(t, "node_modules", ".bin", "mcp-inspector")
	for _, kind := range []string{"http", "stdio"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			config := strings.NewReplacer(
				"http://127.0.0.1:8080", service.URL, `"TOKEN"`, quote(t, token), "Bearer TOKEN", "Bearer "+token,
				`"command": "cellblock"`, `"command": `+quote(t, program),
			).Replace(blocks(t, "config: "+kind)[0])
			path := filepath.Join(t.TempDir(), "mcp.json")
			if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			out := output(t, node, inspector, "--cli", "--config", path, "--server", "cellblock",
				"--method", "tools/call", "--tool-name", "run_python", "--tool-arg", "code=6*7")
			if !strings.Contains(out, "result: 42") {
				t.Error(out)
			}
		})
	}
}

// TestDocumentedSteps makes the three calls of docs/mcp.md, each in a sandbox of its own.
func TestDocumentedSteps(t *testing.T) {
	t.Parallel()
	steps := blocks(t, "steps")
	if len(steps) != 3 {
		t.Fatalf("%d steps", len(steps))
	}
	eachTransport(t, func(t *testing.T, session *mcp.ClientSession) {
		var answers []called
		arguments := strings.Join(steps, "\x00")
		for i := range steps {
			got := call(t, session, "run_python", strings.Split(arguments, "\x00")[i])
			if got.IsError {
				t.Fatalf("step %d: %s", i+1, got.text)
			}
			id, _ := got.structured["job_id"].(string)
			arguments = strings.ReplaceAll(arguments, fmt.Sprintf("JOB_%d", i+1), id)
			answers = append(answers, got)
		}
		if !strings.Contains(answers[1].text, "result: 3.0") || answers[0].structured["job_id"] == "" {
			t.Error(answers[1].text)
		}
		for _, content := range answers[2].Content {
			if image, ok := content.(*mcp.ImageContent); ok && len(image.Data) > 1000 {
				return
			}
		}
		t.Errorf("no picture: %s", answers[2].text)
	})
}

// TestDocumentedCosts measures the messages in the table of docs/mcp.md.
func TestDocumentedCosts(t *testing.T) {
	t.Parallel()
	session := connect(t, transports["http"](t), nil)
	listed, err := session.ListTools(testContext(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, tool := range listed.Tools {
		schema, err := json.Marshal(tool.InputSchema)
		if err != nil {
			t.Fatal(err)
		}
		read += len(tool.Name) + len(tool.Description) + len(schema)
	}
	raw := post(t, service, run(t, "print('hi')\n6 * 7"), nil)
	text := call(t, session, "run_python", `{"code": "print('hi')\n6 * 7"}`)
	long := call(t, session, "run_python", `{"code": "import sys\nprint('x' * 10**6)\n`+
		`print('x' * 10**6, file=sys.stderr)\n`+
		`display('x' * 20000)\ndisplay('x' * 20000)\n'x' * 10**6"}`)
	measured := []int{read, len(post(t, service, toolsList, nil).body), len(text.text), len(raw.body), len(long.text)}
	_, section, _ := strings.Cut(document(t), "\n## What it costs\n")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile(`(?m)^\| .+ \| ([0-9,]+) \|$`).FindAllStringSubmatch(section, -1)
	if len(rows) != len(measured) {
		t.Fatalf("%d rows, %d measured", len(rows), len(measured))
	}
	for i, row := range rows {
		documented, _ := strconv.Atoi(strings.ReplaceAll(row[1], ",", ""))
		isBound := i == len(rows)-1
		if off := float64(measured[i]) / float64(documented); off > 1.1 || off < 0.9 && !isBound {
			t.Errorf("%s; it has %d bytes", row[0], measured[i])
		}
	}
}
