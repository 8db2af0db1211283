package traces

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

const (
	token         = "the-operators-token-30817"
	webhookSecret = "whsec_c2VjcmV0LW9mLXRoZS1zZXJ2aWNlLTEyMzQ1Njc4OTA="
)

// traced exports to spans, untraced is the same service without the setting.
var (
	spans            *receiver
	programs         stack.Programs
	traced, untraced *stack.Stack
)

func TestMain(m *testing.M) { stack.Main(m, "traces", run) }

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "cellblock-traces-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	if programs, err = stack.FindOrBuild(ctx, os.Getenv("TRACES_PROGRAMS"), dir); err != nil {
		return 1, err
	}
	spans = newReceiver()
	defer spans.Close()
	defer func() { err = errors.Join(err, stack.StopAll(traced, untraced)) }()
	exporting := stack.Env{
		"OTEL_EXPORTER_OTLP_ENDPOINT": spans.URL, "OTEL_BSP_SCHEDULE_DELAY": "50",
		"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
	}
	if traced, err = stack.Start(ctx, config(exporting)); err != nil {
		return 1, err
	}
	if untraced, err = stack.Start(ctx, config(nil)); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, spans.checkRoots()
}

// config returns a stack with further settings for its API and its worker.
func config(more stack.Env) stack.Config {
	api := stack.Env{
		"API_TOKEN": token, "CALLBACK_SECRET": webhookSecret, "CALLBACK_ALLOW": "127.0.0.0/8",
		"CALLBACK_PAUSE": "100ms", "NO_WORKER_GRACE": "500ms",
	}
	worker := stack.Env{"WORKER_CONCURRENCY": "2", "PRELOAD": "", "PRELOAD_ON_DEMAND": ""}
	for name, value := range more {
		api[name], worker[name] = value, value
	}
	return stack.Config{Programs: programs, API: api, Workers: []stack.Env{worker}}
}

// parent is what a client sends of its own trace.
type parent struct{ trace, span string }

func newParent() parent {
	var id [24]byte
	_, _ = rand.Read(id[:])
	return parent{hex.EncodeToString(id[:16]), hex.EncodeToString(id[16:])}
}

func (p parent) header(sampled bool) string {
	flags := "-00"
	if sampled {
		flags = "-01"
	}
	return "00-" + p.trace + "-" + p.span + flags
}

// answer is a response.
type answer struct {
	Status int
	Header http.Header
	Body   string
	// JobID and Code are those in the body.
	JobID, Code string
}

// send sends a request to a service, with header lines as names and values in turn.
func send(t *testing.T, to *stack.Stack, method, path, body string, header ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stack.Scaled(time.Minute))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, to.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{Status: response.StatusCode, Header: response.Header, Body: string(content)}
	var fields struct {
		JobID string `json:"job_id"`
		Code  string `json:"code"`
	}
	_ = json.Unmarshal(content, &fields) // not all bodies are JSON
	got.JobID, got.Code = fields.JobID, fields.Code
	return got
}

// logged returns a field of a line about a job, once the line is there: a process writes it after the client has its
// answer.
func logged(t *testing.T, by *stack.Process, message, field, jobID string) string {
	t.Helper()
	for deadline := time.Now().Add(stack.Scaled(20 * time.Second)); time.Now().Before(deadline); {
		if value := by.Logged(message, field, map[string]string{"job_id": jobID}); value != "" {
			return value
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s has no line %q with %s about the job %s", by.Name, message, field, jobID)
	return ""
}

// script returns the body of a request for a job.
func script(source string, more ...string) string {
	quoted, _ := json.Marshal(source)
	return `{"script":` + string(quoted) + strings.Join(append([]string{""}, more...), ",") + `}`
}
