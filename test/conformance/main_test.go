package conformance

import (
	"cmp"
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

// kind is one kind of sandbox, with the stacks that use it. They are up for all
// of the suite's tests.
type kind struct {
	name string
	// standard has the limits of the contract, on two workers.
	standard *stack.Stack
	// tight has limits so small that meeting them takes little time.
	tight *stack.Stack
}

// kinds are all that the suite judges.
var kinds []*kind

// standard is for tests of what has nothing to do with sandboxes.
func standard() *stack.Stack { return kinds[0].standard }

// eachKind runs a test for each kind of sandbox.
func eachKind(t *testing.T, test func(t *testing.T, k *kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

// programs are built once, by TestMain.
var programs stack.Programs

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of a case is waiting: more at once than there are processors.
	if !isSet("test.parallel") {
		_ = flag.Set("test.parallel", "6")
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
	if given := os.Getenv("CONFORMANCE_URL"); given != "" {
		return runAt(m, given, os.Getenv("CONFORMANCE_TIGHT_URL")), nil
	}
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
	defer func() { err = errors.Join(err, stopKinds(), leftovers()) }()
	for name := range strings.FieldsSeq(cmp.Or(os.Getenv("CONFORMANCE_SANDBOXES"), "warm cold")) {
		if err := startKind(name); err != nil {
			return 1, err
		}
	}
	code = m.Run()
	if code != 0 && testing.Verbose() {
		for _, k := range kinds {
			fmt.Fprintln(os.Stderr, k.standard.Logs(), k.tight.Logs())
		}
	}
	return code, nil
}

func startKind(name string) (err error) {
	k := &kind{name: name}
	worker := k.workerEnv(stack.Env{"WORKER_CONCURRENCY": "4"})
	k.standard, err = stack.Start(context.Background(), stack.Config{Programs: programs, Workers: []stack.Env{worker, worker}})
	if err != nil {
		return err
	}
	kinds = append(kinds, k)
	limited := maps.Clone(stack.TightLimits)
	limited["WORKER_CONCURRENCY"] = "8" // as many as tests run at least: nothing waits for others' timeouts
	k.tight, err = stack.Start(context.Background(), stack.Config{
		// Not the same as the wall limit, so that each shows.
		Programs: programs, API: k.tightAPI(), Workers: []stack.Env{k.workerEnv(limited)},
	})
	return err
}

// tightAPI are the API's settings beside tight workers. The limits are the most
// that a request may ask for, so it knows the same.
func (k *kind) tightAPI() stack.Env {
	env := maps.Clone(stack.TightLimits)
	env["SYNC_WAIT"] = "30s"
	return env
}

func stopKinds() error {
	var all []*stack.Stack
	for _, k := range kinds {
		all = append(all, k.standard, k.tight)
	}
	return stack.StopAll(all...)
}

// workerEnv is a worker's environment, with what CONFORMANCE_WORKER_ENV adds.
func (k *kind) workerEnv(own stack.Env) stack.Env {
	env := stack.Env{"SANDBOX": k.name}
	maps.Copy(env, own)
	for pair := range strings.FieldsSeq(os.Getenv("CONFORMANCE_WORKER_ENV")) {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

// oneSlot is a stack with a worker that runs one job at a time.
func (k *kind) oneSlot(t *testing.T) *stack.Stack {
	t.Helper()
	return startStack(t, stack.Config{Workers: []stack.Env{k.workerEnv(stack.Env{"WORKER_CONCURRENCY": "1"})}})
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
	return stack.StartFor(t, config)
}
