// Command bench measures the service on this machine, with real Redis, workers and sandboxes, and appends the results
// to a file that keeps the history.
//
// Its measurements, each with its aim:
//
//	idle-dispatch  time from enqueue to the start of the handler, on an idle
//	               queue: below 5 ms at the median
//	commands       Redis commands per job while 20 workers are idle, and per
//	               second without jobs: bounded
//	overhead       a request's whole time, with warm and with cold sandboxes,
//	               minus that of a bare nsjail with the same script, which exits
//	               as the runner does: below 15 ms at the median. Warm, pandas:
//	               at most 8 ms in all, and 40 times less than a bare one that
//	               finalizes the interpreter
//	speed          jobs per second with 8 clients, over HTTP, with the same
//	               sandboxes driven by this program, and with a bare nsjail on
//	               each core
//	beside         the same in turn with the programs of another commit (-other)
//	               and with other services that run already (-peer), in one run:
//	               jobs per second and medians of three scripts, the time
//	               outside of run and prepare, also with a file of 5 MiB, the
//	               worker's processor time, and accepted jobs per second
//	files          MB per second of files in (upload to script) and out (script
//	               to download)
//	load           goroutines, files and memory of one API process with 200
//	               watchers and 1,000 waiting clients at once: back to the
//	               values before
//	doors          jobs per second of 128 clients with SandboxFusion's form of a
//	               request, and with POST /execute in turn: at least 0.9 of it
//	keys           a request with a key of a tenant, with and without a limit on
//	               requests, and without keys, in turn: at most 1.1 times the
//	               median, 2 more round trips to Redis, 3 more commands there
//	idle-cost      memory of a ready sandbox, processor time of an idle stack
//	fair           a tenant's synchronous jobs while another's wait for two
//	               slots: beside 10,000 jobs of 100 ms at most 350 ms at the
//	               median, beside jobs of 10 s each within a second. The cost of
//	               a job with 100,000 waiting jobs of 1,000 tenants
//	environment    memory of an idle worker with data-science beside the default
//	               environment, as without it; a scikit-learn fit, at most 1/25
//	               of a bare nsjail
//
// It needs root, redis-server and the sandbox's Python (`make setup`).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"cellblock/internal/nsjail/host"
	"cellblock/internal/worker"
	"cellblock/test/results"
	"cellblock/test/stack"
)

// measurements are the names, in the order in which they run.
var measurements = []string{
	"idle-dispatch", "commands", "overhead", "speed", "beside", "files", "idle-cost", "load", "floods", "worker-flood",
	"environment", "doors", "fair", "keys",
}

// options select what to measure and how often. They bound every loop.
type options struct {
	what    []string
	jobs    int
	workers int
	slots   int
	idle    time.Duration
	runs    int
	round   time.Duration
	out     string
	python  string
	nsjail  string
	// programs is the folder of the programs to measure; empty builds this tree's.
	programs string
	// other is a folder with the programs of another commit to measure beside them, and peers are other services; none
	// if empty.
	other string
	peers peers
}

// report is the result of one run, and one line of the history.
type report struct {
	Date     string       `json:"date"`
	Commit   string       `json:"commit"`
	Machine  machine      `json:"machine"`
	Dispatch *dispatch    `json:"idle_dispatch,omitzero"`
	Commands *commands    `json:"commands,omitzero"`
	Overhead []comparison `json:"overhead,omitzero"`
	Speed    []speed      `json:"speed,omitzero"`
	Beside   *beside      `json:"beside,omitzero"`
	Files    *fileSpeed   `json:"files,omitzero"`
	IdleCost *idleCost    `json:"rest,omitzero"`
	Load     *clientLoad  `json:"crowd,omitzero"`
	Floods   []flood      `json:"floods,omitzero"`
	Worker   *workerFlood `json:"worker_flood,omitzero"`
	// Environment is measured if it is asked for by name.
	Environment *environmentCost `json:"environment,omitzero"`
	Doors       *doors           `json:"doors,omitzero"`
	Keys        *keyCost         `json:"keys,omitzero"`
	Fair        *fair            `json:"fair,omitzero"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parse(args []string) (options, error) {
	var o options
	var what string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&what, "what", strings.Join(measurements, ","), "measurements to make, with commas between")
	flags.IntVar(&o.jobs, "jobs", 300, "jobs of the dispatch and the command measurement (10 to 10000)")
	flags.IntVar(&o.workers, "workers", 20, "idle workers of the command measurement (1 to 100)")
	flags.IntVar(&o.slots, "slots", worker.MaxConcurrency, "slots of the worker of the worker flood (1 to 512)")
	flags.DurationVar(&o.idle, "idle", 15*time.Second, "time for counting commands while nothing happens (1s to 10m)")
	flags.IntVar(&o.runs, "runs", 100,
		"runs of each script for the overhead, services and bare nsjail in turn (10 to 10000)")
	flags.DurationVar(&o.round, "round", 4*time.Second, "length of each of the speed measurement's rounds (1s to 10m)")
	flags.StringVar(&o.out, "out", "test/bench/results.jsonl",
		"file to append the result to, as one line of JSON; empty: none")
	flags.StringVar(&o.python, "python", host.DefaultPrefix()+"/bin/python3", "the sandbox's interpreter")
	flags.StringVar(&o.nsjail, "nsjail", host.DefaultPrefix()+"/bin/nsjail", "nsjail's executable")
	flags.StringVar(&o.programs, "programs", "",
		"folder with the api and worker to measure, such as those of another commit; empty: build them")
	flags.StringVar(&o.other, "other", "",
		"folder with the api and worker of another commit, for the measurement beside; empty: none")
	flags.Var(&o.peers, "peer",
		`another service for that measurement, "NAME URL BODY", where BODY is JSON with `+placeholder+
			` in the place of the script; may be repeated (docs/performance.md has those of snekbox and go-judge)`)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.what = strings.Split(what, ",")
	for _, name := range o.what {
		if !slices.Contains(measurements, name) {
			return o, fmt.Errorf("there is no measurement %q; there are %s", name, strings.Join(measurements, ", "))
		}
	}
	within := func(n, least, most int) bool { return n >= least && n <= most }
	if !within(o.jobs, 10, 10_000) || !within(o.slots, 1, worker.MaxConcurrency) || !within(o.workers, 1, 100) ||
		!within(o.runs, 10, 10_000) ||
		o.idle < time.Second || o.idle > 10*time.Minute || o.round < time.Second || o.round > 10*time.Minute {
		return o, errors.New("a number is out of its range; see -help")
	}
	return o, nil
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cellblock-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// The bare nsjail reads its script from there with another user id.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	programs, err := stack.FindOrBuild(ctx, o.programs, dir)
	if err != nil {
		return err
	}
	r := report{Date: time.Now().UTC().Format(time.RFC3339), Commit: results.Commit(ctx), Machine: thisMachine()}
	fmt.Printf("commit %s, %s, %d cores, Linux %s\n\n", r.Commit, r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel)
	for _, name := range o.what {
		if err := r.measure(ctx, name, o, programs, dir); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	return results.Append(o.out, r)
}

// measure makes the measurement of a name.
// measure makes one measurement; dir is a folder for its files.
func (r *report) measure(
	ctx context.Context, name string, o options, programs stack.Programs, dir string,
) (err error) {
	switch name {
	case "idle-dispatch":
		r.Dispatch, err = measureDispatch(ctx, o)
	case "commands":
		r.Commands, err = measureCommands(ctx, o, programs)
	case "overhead":
		r.Overhead, err = measureOverhead(ctx, o, programs, filepath.Join(dir, "bare"))
	case "speed":
		r.Speed, err = measureSpeed(ctx, o, programs, filepath.Join(dir, "bare"))
	case "beside":
		r.Beside, err = measureBeside(ctx, o, programs, dir)
	case "files":
		r.Files, err = measureFiles(ctx, programs)
	case "idle-cost":
		r.IdleCost, err = measureIdleCost(ctx, o, programs)
	case "load":
		r.Load, err = measureClientLoad(ctx, o, programs)
	case "floods":
		r.Floods, err = measureFloods(ctx, o, programs)
	case "worker-flood":
		r.Worker, err = measureWorkerFlood(ctx, o, programs)
	case "doors":
		r.Doors, err = measureDoors(ctx, o, programs)
	case "keys":
		r.Keys, err = measureKeys(ctx, o, programs)
	case "fair":
		r.Fair, err = measureFair(ctx, programs)
	case "environment":
		r.Environment, err = measureEnvironment(ctx, o, programs, dir)
	}
	return err
}
