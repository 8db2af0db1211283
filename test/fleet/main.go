// Command fleet measures what a job costs Redis in fleets of 1 to 1,000 workers, and what the idle workers cost, and
// appends the results to a file that keeps the history.
//
// For each size it starts one real Redis and one or more API processes, and simulated workers: each is the real one
// (internal/worker) with its own client, consumer, claims, heartbeats and ends, but its sandbox does nothing for the
// time that the script names. A few processes hold all workers. The load comes through the HTTP API.
//
//	idle      commands, processor time and bytes per second of the fleet without jobs
//	offered   jobs at a fixed rate, the same for each size, half of them
//	          synchronous and short, half asynchronous and long: commands,
//	          processor time of Redis and bytes for each job, without those of the
//	          idle fleet in the same time; the time from acceptance to start
//	capacity  jobs per second of clients that send one synchronous job after the
//	          other, and Redis's processor time for each
//	others    what one cancel of a running job and one GET /workers cost
//
// The aim: the cost of a job with any number of workers is at most 1.2 times that with the fewest. Machines are shared,
// so only ratios within one run count.
//
// It needs redis-server. The programs under test are built from this repository, or are those in -programs; the
// workers are always this repository's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"cellblock/test/results"
	"cellblock/test/stack"
)

// options select the sizes and the load. They bound every loop.
type options struct {
	workers, apis   []int
	rate            float64
	length, long    time.Duration
	slots           int
	clients         int
	idle, measure   time.Duration
	rounds          int
	processes       int
	programs, out   string
	warmUp, cancels int
}

// report is the result of one run, and one line of the history.
type report struct {
	Date    string  `json:"date"`
	Commit  string  `json:"commit"`
	Cores   int     `json:"cores"`
	Kernel  string  `json:"kernel"`
	Rate    float64 `json:"jobs_per_second"`
	Seconds float64 `json:"seconds_of_a_sync_job"`
	Long    float64 `json:"seconds_of_an_async_job"`
	Slots   int     `json:"slots"`
	Sizes   []size  `json:"sizes"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	run := run
	if len(os.Args) > 1 && os.Args[1] == simulateCommand {
		run = simulate
	}
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parse(args []string) (options, error) {
	o := options{warmUp: 50, cancels: 20}
	var workers, apis string
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.StringVar(&workers, "workers", "1,10,100,1000",
		"numbers of workers, with commas between, the fewest first (each 1 to 2000)")
	flags.StringVar(&apis, "apis", "1,2,4",
		"numbers of API processes (each 1 to 8); all but the first are measured with the last number of workers only")
	flags.Float64Var(&o.rate, "rate", 100, "offered jobs per second (1 to 10000)")
	flags.DurationVar(&o.length, "length", 20*time.Millisecond, "how long each synchronous job runs (0 to 10s)")
	flags.DurationVar(&o.long, "long", time.Second, "how long each asynchronous job runs (0 to 10s)")
	flags.IntVar(&o.slots, "slots", 128, "slots of each worker (1 to 512): the load must fit the smallest fleet")
	flags.IntVar(&o.clients, "clients", 32, "clients of the measurement of the capacity (0 for none, to 1000)")
	// An idle worker reports everything every 30 s and looks for expired leases every minute, and workers that start
	// together do so together: another time would have more of that in one measurement than in the next.
	flags.DurationVar(&o.idle, "idle", time.Minute, "time without jobs; whole minutes for large fleets (1s to 10m)")
	flags.DurationVar(&o.measure, "measure", time.Minute, "time of each load, likewise (1s to 10m)")
	flags.IntVar(&o.rounds, "rounds", 1, "how often all sizes are measured, in turn; medians are printed (1 to 100)")
	flags.IntVar(&o.processes, "processes", 1, "processes that hold the workers (1 to 16)")
	flags.StringVar(&o.programs, "programs", "", "folder with the api to measure; empty: build it")
	flags.StringVar(&o.out, "out", "test/fleet/results.jsonl",
		"file to append the result to, as one line of JSON; empty: none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var errs [2]error
	o.workers, errs[0] = numbers(workers, 2000)
	o.apis, errs[1] = numbers(apis, 8)
	within := func(n, least, most float64) bool { return n >= least && n <= most }
	if errors.Join(errs[:]...) != nil || !within(o.rate, 1, 10_000) ||
		!within(o.length.Seconds(), 0, 10) || !within(o.long.Seconds(), 0, 10) ||
		!within(float64(o.slots), 1, 512) || !within(float64(o.clients), 0, 1000) ||
		!within(o.idle.Seconds(), 1, 600) || !within(o.measure.Seconds(), 1, 600) ||
		!within(float64(o.rounds), 1, 100) || !within(float64(o.processes), 1, 16) {
		return o, errors.Join(append(errs[:], errors.New("a number is out of its range; see -help"))...)
	}
	return o, nil
}

// numbers parses numbers from 1 to most with commas between.
func numbers(text string, most int) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 || n > most {
			return nil, fmt.Errorf("%q is no number from 1 to %d", part, most)
		}
		all = append(all, n)
	}
	return all, nil
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cellblock-fleet-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	programs, err := stack.FindOrBuild(ctx, o.programs, dir)
	if err != nil {
		return err
	}
	r := report{
		Date: time.Now().UTC().Format(time.RFC3339), Commit: results.Commit(ctx), Cores: cores(),
		Kernel: results.Kernel(), Rate: o.rate, Seconds: o.length.Seconds(), Long: o.long.Seconds(), Slots: o.slots,
	}
	fmt.Printf("commit %s, %d cores, Linux %s\n", r.Commit, r.Cores, r.Kernel)
	for round := range o.rounds {
		for _, s := range o.sizes() {
			fmt.Printf("round %d of %d: %d workers, %d API processes\n", round+1, o.rounds, s.Workers, s.APIs)
			if err := s.measureAgain(ctx, o, programs); err != nil {
				return fmt.Errorf("%d workers, %d API processes: %w", s.Workers, s.APIs, err)
			}
			r.Sizes = append(r.Sizes, s)
		}
	}
	if err := r.print(os.Stdout); err != nil {
		return err
	}
	return results.Append(o.out, r)
}

// sizes returns the sizes of a round.
func (o options) sizes() []size {
	var all []size
	for _, workers := range o.workers {
		all = append(all, size{Workers: workers, APIs: o.apis[0]})
	}
	most := slices.Max(o.workers)
	for _, apis := range o.apis[1:] {
		all = append(all, size{Workers: most, APIs: apis})
	}
	return all
}
