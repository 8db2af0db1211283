package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cellblock/client"
	"cellblock/test/stack"
)

const (
	token = "the-clients-token"
	// bound is longer than any step of a test takes, even on a busy machine.
	bound = 30 * time.Second
)

// service runs during all tests; program is the path of the command line.
var (
	service  *stack.Stack
	programs stack.Programs
	program  string
)

func TestMain(m *testing.M) {
	stack.Main(m, "clients", func(m *testing.M) (int, error) {
		code, err := run(m)
		if err == nil && code == 0 {
			err = goleak.Find()
		}
		return code, err
	})
}

func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-clients-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	programs, err = stack.FindOrBuild(context.Background(), os.Getenv("CLIENTS_PROGRAMS"), dir)
	if err != nil {
		return 1, err
	}
	if program, err = stack.BuildCommandLine(context.Background(), dir); err != nil {
		return 1, err
	}
	service, err = stack.Start(context.Background(), stack.Config{
		Programs: programs, API: stack.Env{"API_TOKEN": token, "SYNC_WAIT": "1s", "USAGE_LABEL": "customer"},
		Workers: []stack.Env{{"WORKER_CONCURRENCY": "4"}},
	})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, service.Stop()) }()
	if code = m.Run(); code != 0 && testing.Verbose() {
		fmt.Fprintln(os.Stderr, service.Logs())
	}
	return code, nil
}

// newClient returns a client of the service.
func newClient(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(service.URL, client.WithToken(token))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// testContext returns a context for one test, with a timeout.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	return ctx
}

// command returns the program with these arguments, ready to start. Its environment has the service's URL, the token,
// and env.
func command(t *testing.T, env []string, words ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), program, words...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "CELLBLOCK_URL=" + service.URL, "CELLBLOCK_TOKEN=" + token},
		env...)
	return cmd
}

// programResult is the result of a run of the program.
type programResult struct {
	stdout, stderr string
	status         int
}

// cellblock runs the program with this standard input until it exits.
func cellblock(t *testing.T, stdin string, words ...string) programResult {
	t.Helper()
	return finish(t, command(t, nil, words...), stdin)
}

func finish(t *testing.T, cmd *exec.Cmd, stdin string) programResult {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	if exited := new(exec.ExitError); err != nil && !errors.As(err, &exited) {
		t.Fatal(err)
	}
	return programResult{stdout: stdout.String(), stderr: stderr.String(), status: cmd.ProcessState.ExitCode()}
}

// write writes a file into a temporary folder and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readAll(t *testing.T, body io.ReadCloser, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
