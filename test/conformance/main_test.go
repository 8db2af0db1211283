package conformance

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/test/stack"
)

// The suite's stacks, up for all of its tests.
var (
	// standard has the limits of the contract, on two workers.
	standard *stack.Stack
	// tight has limits so small that meeting them takes little time.
	tight *stack.Stack
)

// tightLimits are far apart where one could be met instead of another: on a
// busy machine half a second of CPU time takes a few of wall time.
var tightLimits = stack.Env{
	"LIMIT_WALL": "4s", "LIMIT_CPU": "500ms", "LIMIT_MEMORY_MB": "128", "LIMIT_PROCESSES": "16",
	"LIMIT_OPEN_FILES": "64", "LIMIT_TMP_MB": "8", "LIMIT_OUTPUT_KB": "64", "LIMIT_RESULT_KB": "64",
}

// programs are built once, by TestMain.
var programs stack.Programs

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of a case is waiting: more at once than there are processors.
	if !isSet("test.parallel") {
		_ = flag.Set("test.parallel", "8")
	}
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// run gives the tests' exit code, and an error for what went wrong around them:
// also whatever is left on the machine once everything was asked to end.
func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-conformance-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if programs, err = stack.Build(context.Background(), dir, raceFlags...); err != nil {
		return 1, err
	}
	worker := workerEnv(stack.Env{"WORKER_CONCURRENCY": "4"})
	standard, err = stack.Start(context.Background(), stack.Config{Programs: programs, Workers: []stack.Env{worker, worker}})
	if err != nil {
		return 1, err
	}
	limited := maps.Clone(tightLimits)
	maps.Copy(limited, worker)
	tight, err = stack.Start(context.Background(), stack.Config{
		// Not the same as the wall limit, so that each shows.
		Programs: programs, API: stack.Env{"SYNC_WAIT": "30s"}, Workers: []stack.Env{limited},
	})
	if err != nil {
		return 1, errors.Join(err, standard.Stop())
	}
	code = m.Run()
	if code != 0 && testing.Verbose() {
		fmt.Fprintln(os.Stderr, standard.Logs(), tight.Logs())
	}
	return code, errors.Join(standard.Stop(), tight.Stop(), leftovers())
}

// workerEnv is a worker's environment with what CONFORMANCE_WORKER_ENV adds.
func workerEnv(own stack.Env) stack.Env {
	env := maps.Clone(own)
	for pair := range strings.FieldsSeq(os.Getenv("CONFORMANCE_WORKER_ENV")) {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

// seenCgroups are folders of control groups that jobs ran in, and the workers'
// own around them: none may be there once the workers have ended.
var seenCgroups struct {
	sync.Mutex
	dirs []string
}

func leftovers() error {
	var errs []error
	if left := stack.Survivors(2 * time.Second); len(left) > 0 {
		errs = append(errs, fmt.Errorf("processes are left:\n%s", strings.Join(left, "\n")))
	}
	seenCgroups.Lock()
	defer seenCgroups.Unlock()
	for _, dir := range seenCgroups.dirs {
		if _, err := os.Stat(dir); err == nil {
			errs = append(errs, fmt.Errorf("a cgroup is left: %s", dir))
		}
	}
	return errors.Join(errs...)
}

// startStack starts a stack for one test, which ends with it.
func startStack(t *testing.T, config stack.Config) *stack.Stack {
	t.Helper()
	config.Programs = programs
	s, err := stack.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}
