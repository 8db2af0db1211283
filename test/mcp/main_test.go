package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/client"
	"cellblock/test/stack"
)

const (
	token = "the-agents-token"
	// bound is longer than any step of a test takes, even on a busy machine.
	bound = time.Minute
)

// service runs during all tests and needs a token; open is a second one, without a token. program is the path of the
// command line.
var (
	service, open *stack.Stack
	program       string
)

func TestMain(m *testing.M) { stack.Main(m, "mcp", runAll) }

func runAll(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-mcp-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	programs, err := stack.Build(ctx, dir)
	if err != nil {
		return 1, err
	}
	if program, err = stack.BuildCommandLine(ctx, dir); err != nil {
		return 1, err
	}
	worker := []stack.Env{{"WORKER_CONCURRENCY": "4"}}
	service, err = stack.Start(ctx, stack.Config{
		Programs: programs, Workers: worker,
		// Waits shorter than a job may take, so that a call can end before its job.
		API: stack.Env{"API_TOKEN": token, "SYNC_WAIT": "5s"},
	})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	if open, err = stack.Start(ctx, stack.Config{Programs: programs}); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, open.Stop()) }()
	if code = m.Run(); code != 0 && testing.Verbose() {
		fmt.Fprintln(os.Stderr, service.Logs())
	}
	return code, nil
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}

// withToken sends the token of the service.
type withToken struct{}

func (withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return http.DefaultTransport.RoundTrip(r)
}

// transports are the two ways to the server.
var transports = map[string]func(t *testing.T) mcp.Transport{
	"http": func(*testing.T) mcp.Transport {
		return &mcp.StreamableClientTransport{
			Endpoint: service.URL + "/mcp", HTTPClient: &http.Client{Transport: withToken{}},
		}
	},
	"stdio": func(t *testing.T) mcp.Transport {
		cmd := exec.CommandContext(testContext(t), program, "mcp")
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "CELLBLOCK_URL=" + service.URL, "CELLBLOCK_TOKEN=" + token}
		cmd.Stderr = t.Output()
		return &mcp.CommandTransport{Command: cmd}
	},
}

// eachTransport runs the test over HTTP and over standard input and output.
func eachTransport(t *testing.T, test func(t *testing.T, session *mcp.ClientSession)) {
	t.Helper()
	for name, transport := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, connect(t, transport(t), nil))
		})
	}
}

func connect(t *testing.T, transport mcp.Transport, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	agent := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, options)
	session, err := agent.Connect(testContext(t), transport, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// called is the answer of a tool.
type called struct {
	*mcp.CallToolResult

	// text has all text blocks, one below the other, and structured the structured content.
	text       string
	structured map[string]any
	raw        string
}

// call calls a tool; arguments are JSON.
func call(t *testing.T, session *mcp.ClientSession, tool, arguments string) called {
	t.Helper()
	result, err := session.CallTool(testContext(t), &mcp.CallToolParams{
		Name: tool, Arguments: rawJSON(arguments),
	})
	if err != nil {
		t.Fatalf("%s %s: %v", tool, arguments, err)
	}
	return read(t, result)
}

func read(t *testing.T, result *mcp.CallToolResult) called {
	t.Helper()
	answer := called{CallToolResult: result}
	var texts []string
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			texts = append(texts, text.Text)
		}
	}
	answer.text = strings.Join(texts, "\n")
	encoded, err := json.Marshal(result.StructuredContent)
	if err == nil {
		answer.raw = string(encoded)
		err = json.Unmarshal(encoded, &answer.structured)
	}
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// rawJSON is JSON that is sent as it is.
type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// quote returns text as a JSON string.
func quote(t *testing.T, text string) string {
	t.Helper()
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// newClient returns a client of the service's HTTP API.
func newClient(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(service.URL, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// awaitStatus waits until the job has the status.
func awaitStatus(t *testing.T, id string, want client.JobStatus) {
	t.Helper()
	ctx, c := testContext(t), newClient(t)
	for ctx.Err() == nil {
		job, err := c.Get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if job.Status == want {
			return
		}
		time.Sleep(20 * time.Millisecond) // as a client that polls
	}
	t.Fatalf("job %s is not %s", id, want)
}
