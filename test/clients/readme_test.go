package clients

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock/test/stack"
)

// The reader of docs/api.md generates this secret.
const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// startReadme starts the service for the commands of the documents: without a token, and with webhooks to this machine
// allowed.
func startReadme(t *testing.T) *stack.Stack {
	t.Helper()
	return stack.StartFor(t, stack.Config{
		Programs: programs,
		API:      stack.Env{"CALLBACK_SECRET": webhookSecret, "CALLBACK_ALLOW": "127.0.0.1/32"},
		Workers:  []stack.Env{{"WORKER_CONCURRENCY": "4"}},
	})
}

// commandsOf returns the last shell commands of a section of a document.
func commandsOf(t *testing.T, document, section string) string {
	t.Helper()
	blocks := stack.DocumentedCommands(t, "../../"+document, section)
	return blocks[len(blocks)-1]
}

// runDocumentedCommands runs them unchanged, except for the replaced addresses, and returns their output.
func runDocumentedCommands(t *testing.T, document, section string, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(examples, filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	commands := strings.NewReplacer(replace...).Replace(commandsOf(t, document, section))
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	command.Dir = dir
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(out)
}

// TestReadme runs the README's first request, and the examples of docs/api.md: a watched job, a batch of a hundred,
// jobs with files, and a webhook, whose receiver checks the signature with a library.
func TestReadme(t *testing.T) {
	s := startReadme(t)
	here := strings.TrimPrefix(s.URL, "http://")
	t.Run("first request", func(t *testing.T) {
		out := runDocumentedCommands(t, "README.md", "A first request", "localhost:8080", here)
		if !strings.Contains(out, `"result":{"mean":3.0,"sum":15},"stdout":"Processing data...\n"`) {
			t.Error(out)
		}
	})
	t.Run("running a script", func(t *testing.T) {
		out := runDocumentedCommands(t, "docs/api.md", "Running a script", "localhost:8080", here)
		if !strings.Contains(out, `"result":[1,2,3],"stdout":"hello\n"`) {
			t.Error(out)
		}
	})
	t.Run("labels", func(t *testing.T) {
		out := runDocumentedCommands(t, "docs/api.md", "Labels", "localhost:8080", here)
		lines := strings.Split(out, "\n")
		if len(lines) != 5 {
			t.Fatal(out)
		}
		for i, want := range []string{
			`"labels":{"customer":"42","example.com/run":"nightly"},"result":42`,
			`"labels":{"customer":"42"}`,
			`"code":"timeout","labels":{"customer":"42"}}],"next_cursor":null}`,
			`"labels":{"customer":"42","example.com/run":"nightly"}}],"next_cursor":null}`,
		} {
			if !strings.Contains(lines[i], want) || i > 1 && strings.Count(lines[i], "job_id") != 1 {
				t.Errorf("%s\nis missing in\n%s", want, lines[i])
			}
		}
	})
	t.Run("entries", func(t *testing.T) {
		out := runDocumentedCommands(t, "docs/api.md", "Entries", "localhost:8080", here)
		for _, want := range []string{
			`"entry":"script","result":null,"exit_code":0,"stdout":"49\n"`,
			`"displays":[{"forms":[{"type":"text/plain","text":"3"}]}]`,
			`"result":{"columns":["count","sum"],"index":["north","south"],"data":[[3,381.25],[3,285.25]]}`,
			`"displays":[{"forms":[{"type":"text/html","text":"<div>`, `{"type":"text/plain","text":"        count `,
			`"stdout":"    6 2026\n    3 north\n"`, `"exit_code":1,`,
			`"stderr":"usage: words.py FILE [HOW_MANY]\n"`,
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s\nis missing in\n%s", want, out)
			}
		}
	})
	t.Run("files", func(t *testing.T) {
		out := runDocumentedCommands(t, "docs/api.md", "Output files", "localhost:8080", here)
		if !strings.Contains(out, `"data":[381.25,285.25]`) || !strings.Contains(out, `"name":"figure-1.png"`) ||
			!strings.Contains(out, `"mean":102.625`) {
			t.Error(out)
		}
	})
	t.Run("files that go on", func(t *testing.T) {
		out := runDocumentedCommands(t, "docs/api.md", "Files that go on", "localhost:8080", here)
		if !strings.Contains(out, `"name":"figure-1.png"`) || !strings.Contains(out, `"mean":102.625`) {
			t.Error(out)
		}
	})
	t.Run("watch", func(t *testing.T) {
		out := runDocumentedCommands(t, "docs/api.md", "Live output", "localhost:8080", here)
		n := strings.Count(out, "event: stdout\n")
		if n < 3 || !strings.Contains(out, `"status":"succeeded"`) ||
			!strings.Contains(out, `data: {"text":"step 1 of `) {
			t.Errorf("%d pieces:\n%s", n, out)
		}
	})
	t.Run("batch", func(t *testing.T) {
		out := runDocumentedCommands(t, "docs/api.md", "Batches", "localhost:8080", here)
		n := strings.Count(out, "\n")
		if n != 100 || !strings.Contains(out, "[99,10000]\n") || !strings.Contains(out, "[0,1]\n") {
			t.Errorf("%d lines:\n%.500s", n, out)
		}
	})
	t.Run("webhook", func(t *testing.T) {
		receiver, err := stack.StartReceiver(t.Context(), "../..", webhookSecret)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(receiver.Stop)
		out := runDocumentedCommands(t, "docs/api.md", "Webhooks", "localhost:8080", here, "127.0.0.1:9000",
			"127.0.0.1:"+receiver.Port)
		var job struct {
			ID      string `json:"job_id"`
			Webhook struct {
				Status string `json:"status"`
			} `json:"callback"`
		}
		if err := json.Unmarshal([]byte(out), &job); err != nil {
			t.Fatal(err)
		}
		if !receiver.Lines.Scan() || receiver.Lines.Text() != job.ID+" succeeded 42" {
			t.Errorf("the receiver printed %q", receiver.Lines.Text())
		}
		client := &http.Client{Timeout: bound, Transport: &http.Transport{DisableKeepAlives: true}}
		for deadline := time.Now().Add(bound); job.Webhook.Status != "delivered"; time.Sleep(20 * time.Millisecond) {
			if stack.DoJSON(t.Context(), client, http.MethodGet, s.URL+"/jobs/"+job.ID, nil, "",
				&job); time.Now().After(deadline) {
				t.Fatalf("the webhook is %q", job.Webhook.Status)
			}
		}
	})
}
