package faults

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cellblock"
	"cellblock/test/stack"
)

// fixture is a stack whose sandboxes can append to one file of the test.
type fixture struct {
	*stack.Stack
	runs   string
	worker stack.Env
	// owners are whose jobs there are: the operator, acme and beta.
	owners []*owner
}

func shortDir(t *testing.T) string {
	t.Helper()
	// Not t.TempDir: a socket's path is limited to 107 bytes.
	dir, err := os.MkdirTemp("", "faults") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startFixture starts a stack with a number of workers. change may modify its configuration first.
func startFixture(t *testing.T, workers int, change func(*stack.Config)) *fixture {
	t.Helper()
	dir := shortDir(t)
	// The sandbox's user must be able to reach it.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	runs, config := filepath.Join(dir, "runs"), filepath.Join(dir, "nsjail.cfg")
	if err := os.WriteFile(runs, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(runs, 0o666); err != nil {
		t.Fatal(err)
	}
	text := cellblock.NsjailConfig + "\nmount { src: \"" + runs + "\" dst: \"/runs\" is_bind: true rw: true }\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &fixture{
		runs:   runs,
		worker: stack.Env{"NSJAIL_CONFIG": config, "PRELOAD": "", "WORKER_CONCURRENCY": "4", "LOG_FORMAT": "json"},
	}
	maps.Copy(b.worker, environment.Settings())
	var keys stack.Env
	b.owners, keys = owners(t)
	c := stack.Config{Programs: programs, API: stack.Env{"LOG_FORMAT": "json", "AUDIT_FILE": "off"}}
	maps.Copy(c.API, keys)
	for range workers {
		c.Workers = append(c.Workers, b.worker)
	}
	if change != nil {
		change(&c)
	}
	s, err := stack.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	b.Stack = s
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("FAULTS_LOGS") != "" {
			t.Log(s.Logs())
		}
		for _, p := range append(s.Workers(), s.API, s.Redis) {
			p.Kill()
		}
		_ = s.Stop() // reports the processes that the test killed
	})
	b.makeKey(t)
	return b
}

// withRedis returns the worker's environment with another Redis URL.
func (b *fixture) withRedis(url string) stack.Env {
	env := maps.Clone(b.worker)
	env["REDIS_URL"] = url
	return env
}

func (b *fixture) startWorker(t *testing.T, env stack.Env) *stack.Process {
	t.Helper()
	return b.startProgram(t, programs.Worker, env)
}

func (b *fixture) startProgram(t *testing.T, program string, env stack.Env) *stack.Process {
	t.Helper()
	p, err := b.LaunchWorker(program, env)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for ; p.Logged("worker started", "worker", nil) == ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the worker does not start: %s", p.Log())
		}
	}
	return p
}

// lossDeadline is the longest time until a client must learn that its worker died.
const lossDeadline = 10 * time.Second
