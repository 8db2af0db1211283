package verdicts

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

// column is one kind of sandbox, with or without cgroups.
type column struct {
	sandbox     string
	rlimitsOnly bool
	stack       *stack.Stack
}

func (c *column) name() string {
	if c.rlimitsOnly {
		return c.sandbox + " rlimits"
	}
	return c.sandbox + " cgroups"
}

var columns []*column

// environment is that in which the scripts run: ESCAPE_ENVIRONMENT.
var environment stack.Environment

// limits are far apart where a script could exceed one instead of another.
var limits = stack.Env{
	"LIMIT_WALL":    stack.Scaled(8 * time.Second).String(),
	"LIMIT_CPU":     stack.Scaled(time.Second).String(),
	"DRAIN_TIMEOUT": stack.Scaled(30 * time.Second).String(), "LIMIT_MEMORY_MB": "128", "LIMIT_TMP_MB": "160",
	"LIMIT_PROCESSES": "16",
	"LIMIT_RESULT_KB": "64", "WORKER_CONCURRENCY": "4",
}

// withoutCgroups starts the worker where no cgroup is mounted.
const withoutCgroups = `#!/bin/sh
exec unshare --mount sh -c 'umount -R /sys/fs/cgroup && exec "$0"' %q
`

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "4")
	stack.Main(m, "verdicts", run)
}

func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-verdicts-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	programs, err := stack.FindOrBuild(context.Background(), os.Getenv("ESCAPE_PROGRAMS"), dir)
	if err != nil {
		return 1, err
	}
	bare := stack.Programs{API: programs.API, Worker: filepath.Join(dir, "worker-without-cgroups")}
	if err := os.WriteFile(bare.Worker, fmt.Appendf(nil, withoutCgroups, programs.Worker), 0o700); err != nil {
		return 1, err
	}
	if environment, err = stack.OpenEnvironment(os.Getenv("ESCAPE_ENVIRONMENT")); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stopColumns(), environment.Close()) }()
	if stack.InGVisor() { // it has no cgroups, and no cold sandboxes
		if err := startColumn(&column{sandbox: "warm", rlimitsOnly: true}, programs); err != nil {
			return 1, err
		}
		return m.Run(), nil
	}
	for _, sandbox := range []string{"warm", "cold"} {
		for _, rlimitsOnly := range []bool{false, true} {
			used := programs
			if rlimitsOnly {
				used = bare
			}
			if err := startColumn(&column{sandbox: sandbox, rlimitsOnly: rlimitsOnly}, used); err != nil {
				return 1, err
			}
		}
	}
	return m.Run(), nil
}

func startColumn(c *column, programs stack.Programs) (err error) {
	env := stack.Env{"SANDBOX": c.sandbox}
	for name, value := range limits {
		env[name] = value
	}
	maps.Copy(env, environment.Settings())
	c.stack, err = stack.Start(context.Background(), stack.Config{
		Programs: programs,
		// The API decides a job's limits: with its own default, a slow machine would reach the wall limit first.
		API: stack.Env{
			"SYNC_WAIT": stack.Scaled(15 * time.Second).String(), "LIMIT_WALL": limits["LIMIT_WALL"],
			"LIMIT_CPU": limits["LIMIT_CPU"],
		},
		Workers: []stack.Env{env},
	})
	columns = append(columns, c)
	return err
}

func stopColumns() error {
	var errs []error
	for _, c := range columns {
		if c.stack != nil {
			errs = append(errs, c.stack.Stop())
		}
	}
	return errors.Join(errs...)
}

// answer has the fields of a response that the table checks.
type answer struct {
	Code   string `json:"code"`
	Signal string `json:"signal"`
	Error  string `json:"error"`
	Hint   string `json:"hint"`
	Limit  *struct {
		Name string `json:"name"`
	} `json:"limit"`
	body string
}

// TestTable checks every cell.
func TestTable(t *testing.T) {
	for _, c := range columns {
		t.Run(c.name(), func(t *testing.T) {
			for _, r := range table {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					checkCell(t, c, r)
				})
			}
		})
	}
}

func checkCell(t *testing.T, c *column, r row) {
	t.Helper()
	want := r.want(c.rlimitsOnly)
	if other, differs := inGVisor[r.name]; differs && stack.InGVisor() {
		want = other
	}
	got := execute(t, c.stack,
		fmt.Sprintf("SLOW = %d\n%s\n", stack.SlowFactor(), r.script))
	if saw := strings.TrimSpace(got.Code + " " + got.Signal); saw != want.code {
		t.Fatalf("got %q, want %q: %s", saw, want.code, got.body)
	}
	if got.Hint != want.hint {
		t.Errorf("the hint is %q, want %q", got.Hint, want.hint)
	}
	limited := strings.HasSuffix(want.code, "_limit") || want.code == "timeout" ||
		strings.HasSuffix(want.code, "_too_large")
	if limited != (got.Limit != nil) {
		t.Errorf("the limit: %s", got.body)
	}
	if !c.rlimitsOnly && stack.SlowFactor() == 1 && !strings.Contains(got.Error, r.sentence) {
		t.Errorf("the sentence lacks %q: %s", r.sentence, got.Error)
	}
	for _, ours := range []string{"cgroup", "nsjail", "zygote", "seccomp", "runner"} {
		if strings.Contains(got.Error, ours) {
			t.Errorf("the sentence speaks of our own parts: %s", got.Error)
		}
	}
}

func execute(t *testing.T, s *stack.Stack, script string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stack.Scaled(40*time.Second))
	defer cancel()
	fields := map[string]any{"script": script}
	environment.AddTo(fields)
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/execute", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{body: string(text)}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("not JSON: %v: %.500s", err, text)
	}
	return got
}

// TestDocs compares the table in docs/verdicts.md with this one.
func TestDocs(t *testing.T) {
	content, err := os.ReadFile("../../docs/verdicts.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := markdown(); !strings.Contains(string(content), want) {
		t.Errorf("docs/verdicts.md must have this table:\n%s", want)
	}
}

func markdown() string {
	var b strings.Builder
	b.WriteString("| what happens | cgroup v1, v2 | rlimits only |\n|---|---|---|\n")
	for _, r := range table {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.name, r.cgroups.markdown(), r.want(true).markdown())
	}
	return b.String()
}

func (c cell) markdown() string {
	text := "success"
	if c.code != "" {
		text = "`" + c.code + "`"
	}
	if c.hint != "" {
		text += " with the hint “" + c.hint + "”"
	}
	if c.why != "" {
		text += " (" + c.why + ")"
	}
	return text
}
