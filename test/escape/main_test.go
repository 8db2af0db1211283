package escape

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock/test/stack"
)

// kind is one kind of sandbox, with its stacks.
type kind struct {
	name            string
	standard, tight *stack.Stack
	// before is the number of each worker's processes before the first job.
	before map[*stack.Process]int
}

var kinds []*kind

// environment is that in which the attempts run: ESCAPE_ENVIRONMENT.
var environment stack.Environment

// programs are the programs of the stacks.
var programs stack.Programs

// tightLimits are far apart where a job could reach the wrong one first.
var tightLimits = stack.Env{
	"LIMIT_WALL": stack.Scaled(10 * time.Second).String(),
	"LIMIT_CPU":  stack.Scaled(600 * time.Millisecond).String(), "LIMIT_MEMORY_MB": "128",
	"LIMIT_PROCESSES":  "32",
	"LIMIT_OPEN_FILES": "64", "LIMIT_TMP_MB": "16", "LIMIT_OUTPUT_KB": "64", "LIMIT_RESULT_KB": "64",
}

// secretName and secretValue are in the worker's environment, where no script may find them.
const secretName, secretValue = "ESCAPE_SECRET", "the-worker-knows-this-90817263"

// canary is a folder on this machine that every user may write to.
var canary string

const canaryText = "untouched"

func TestMain(m *testing.M) {
	stack.RunAtOnce(4)
	stack.Main(m, "escape", run)
}

// run returns the tests' exit code, and an error for a failure around them, including processes or files left on the
// machine.
func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-escape-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := makeCanary(dir); err != nil {
		return 1, err
	}
	if programs, err = stack.FindOrBuild(context.Background(), os.Getenv("ESCAPE_PROGRAMS"), dir); err != nil {
		return 1, err
	}
	if environment, err = stack.OpenEnvironment(os.Getenv("ESCAPE_ENVIRONMENT")); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stopKinds(), leftovers(), environment.Close()) }()
	for name := range strings.FieldsSeq(cmp.Or(os.Getenv("ESCAPE_SANDBOXES"), "warm cold")) {
		if err := startKind(name); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

func makeCanary(dir string) error {
	canary = filepath.Join(dir, "canary")
	// Every user may write here, so that only the sandbox prevents it.
	for _, folder := range []string{dir, canary} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
		if err := os.Chmod(folder, 0o777); err != nil {
			return err
		}
	}
	file := filepath.Join(canary, "file")
	if err := os.WriteFile(file, []byte(canaryText), 0o666); err != nil {
		return err
	}
	return os.Chmod(file, 0o666)
}

func startKind(name string) (err error) {
	k := &kind{name: name, before: map[*stack.Process]int{}}
	kinds = append(kinds, k)
	standard := stack.Env{
		// A zygote that starts later would change the number of processes.
		"SANDBOX": name, "WORKER_CONCURRENCY": "4", "PRELOAD_ON_DEMAND": "", secretName: secretValue,
		"LIMIT_WALL":    stack.Scaled(15 * time.Second).String(),
		"LIMIT_CPU":     stack.Scaled(10 * time.Second).String(),
		"DRAIN_TIMEOUT": stack.Scaled(30 * time.Second).String(),
	}
	maps.Copy(standard, environment.Settings())
	for pair := range strings.FieldsSeq(os.Getenv("ESCAPE_WORKER_ENV")) {
		if name, value, ok := strings.Cut(pair, "="); ok {
			standard[name] = value
		}
	}
	tight := maps.Clone(standard)
	maps.Copy(tight, tightLimits)
	wait := stack.Scaled(30 * time.Second).String()
	// The API decides a job's limits: with its own default, a slow machine would reach the wall limit first.
	api := func(worker stack.Env) stack.Env {
		return stack.Env{"SYNC_WAIT": wait, "LIMIT_WALL": worker["LIMIT_WALL"], "LIMIT_CPU": worker["LIMIT_CPU"]}
	}
	k.standard, err = stack.Start(context.Background(), stack.Config{
		Programs: programs, API: api(standard), Workers: []stack.Env{standard},
	})
	if err != nil {
		return err
	}
	k.tight, err = stack.Start(context.Background(), stack.Config{
		Programs: programs, API: api(tight), Workers: []stack.Env{tight},
	})
	if err != nil {
		return err
	}
	for _, worker := range k.workers() {
		k.before[worker] = awaitSteadyProcesses(worker)
	}
	return nil
}

func (k *kind) workers() []*stack.Process {
	return append(k.standard.Workers(), k.tight.Workers()...)
}

// awaitSteadyProcesses waits until the number of a worker's processes is stable.
func awaitSteadyProcesses(worker *stack.Process) int {
	last, since := -1, time.Now()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if n := len(stack.Descendants(worker.PID())); n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) > 500*time.Millisecond {
			break
		}
	}
	return last
}

func stopKinds() error {
	var all []*stack.Stack
	for _, k := range kinds {
		all = append(all, k.standard, k.tight)
	}
	return stack.StopAll(all...)
}

func leftovers() error {
	if left := stack.Survivors(2 * time.Second); len(left) > 0 {
		return fmt.Errorf("processes are left:\n%s", strings.Join(left, "\n"))
	}
	return nil
}
