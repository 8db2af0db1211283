package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/test/stack"
)

// kind is one kind of sandbox, with the stacks that use it. They run for all of the suite's tests.
type kind struct {
	name string
	// standard has the limits of the contract, on two workers.
	standard *stack.Stack
	// tight has limits so small that exceeding them takes little time.
	tight *stack.Stack
}

// kinds are all kinds under test.
var kinds []*kind

// environment is that in which the cases run: CONFORMANCE_ENVIRONMENT.
var environment stack.Environment

// defaultStack returns a stack for tests that do not depend on the sandbox.
func defaultStack() *stack.Stack { return kinds[0].standard }

// forEachKind runs a test for each kind of sandbox.
func forEachKind(t *testing.T, test func(t *testing.T, k *kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, k) })
	}
}

// programs are built once, by TestMain.
var programs stack.Programs

func TestMain(m *testing.M) {
	stack.RunAtOnce(6) // a case mostly waits: more than there are processors
	stack.Main(m, "conformance", run)
}

// run returns the tests' exit code, and an error for failures outside the tests, such as remains on
// the machine after the stacks have stopped.
func run(m *testing.M) (code int, err error) {
	if given := os.Getenv("CONFORMANCE_URL"); given != "" {
		return runAgainst(m, given, os.Getenv("CONFORMANCE_TIGHT_URL")), nil
	}
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-conformance-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if programs, err = stack.FindOrBuild(context.Background(), os.Getenv("CONFORMANCE_PROGRAMS"), dir,
		raceFlags...); err != nil {
		return 1, err
	}
	if environment, err = stack.OpenEnvironment(os.Getenv("CONFORMANCE_ENVIRONMENT")); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stopKinds(), leftovers(), environment.Close()) }()
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
	k.standard, err = stack.Start(context.Background(),
		stack.Config{Programs: programs, Workers: []stack.Env{worker, worker}})
	if err != nil {
		return err
	}
	kinds = append(kinds, k)
	limited := maps.Clone(stack.TightLimits)
	limited["WORKER_CONCURRENCY"] = "8" // at least as many as parallel tests, so that none waits for another's timeout
	k.tight, err = stack.Start(context.Background(), stack.Config{
		// Differs from the wall limit, so that the two can be distinguished.
		Programs: programs, API: k.tightAPI(), Workers: []stack.Env{k.workerEnv(limited)},
	})
	return err
}

// tightAPI returns the settings of the API for tight workers. It has the same limits, since they
// are the most that a request may ask for.
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

// workerEnv returns a worker's environment, with the additions of CONFORMANCE_WORKER_ENV.
func (k *kind) workerEnv(own stack.Env) stack.Env {
	env := stack.Env{"SANDBOX": k.name}
	maps.Copy(env, environment.Settings())
	maps.Copy(env, own)
	for pair := range strings.FieldsSeq(os.Getenv("CONFORMANCE_WORKER_ENV")) {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env[name] = value
		}
	}
	return env
}

// startOneSlot starts a stack with a worker that runs one job at a time.
func (k *kind) startOneSlot(t *testing.T) *stack.Stack {
	t.Helper()
	return startStack(t, stack.Config{Workers: []stack.Env{k.workerEnv(stack.Env{"WORKER_CONCURRENCY": "1"})}})
}

// seenCgroups are folders of control groups that jobs ran in, and the workers' own above them: none
// may exist once the workers have ended.
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

// startStack starts a stack that ends with the test.
func startStack(t *testing.T, config stack.Config) *stack.Stack {
	t.Helper()
	config.Programs = programs
	return stack.StartFor(t, config)
}
