// Command soak keeps a whole service busy for a while, kills parts of it at random, and checks that
// all resources return to their initial levels: memory, descriptors, goroutines, Redis keys,
// processes, control groups and mounts. It also checks the promises of docs/reliability.md: every
// accepted job has an end that its client can read, no job runs twice or gets another's result, the
// events of a watched job match its record, and webhooks arrive.
//
// One worker, the permanent one, is never killed, so that its leaks add up. The others are killed (or, one
// time in four, asked to exit) and started again all the time, the API in the first half only.
//
// It prints its figures and appends them to a file that keeps the history. It exits with 1 if
// something grew or a promise was broken. It needs root, redis-server and the sandbox's Python
// (`make setup`).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"cellblock/client"
	"cellblock/test/results"
	"cellblock/test/stack"
)

type options struct {
	length  time.Duration
	kill    time.Duration
	clients int
	out     string
}

// report is one run, and one line of the history.
type report struct {
	Date    string         `json:"date"`
	Commit  string         `json:"commit"`
	Machine string         `json:"machine"`
	Seconds float64        `json:"seconds"`
	Kills   map[string]int `json:"kills"`
	Jobs    summary        `json:"jobs"`
	Rows    []row          `json:"rows"`
	Passed  bool           `json:"passed"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "soak:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.DurationVar(&o.length, "length", 20*time.Minute,
		"how long the load lasts (10s to 24h); some three minutes come on top")
	flags.DurationVar(&o.kill, "kill", 8*time.Second, "mean time between two kills (1s to 1h)")
	flags.IntVar(&o.clients, "clients", 8, "clients at once (1 to 200); one that submits batches comes on top")
	flags.StringVar(&o.out, "out", "test/soak/results.jsonl",
		"file to append the result to, as one line of JSON; empty: none")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.length < 10*time.Second || o.length > 24*time.Hour || o.kill < time.Second || o.kill > time.Hour ||
		o.clients < 1 || o.clients > 200 {
		return o, errors.New("a number is out of its range; see -help")
	}
	return o, nil
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if err := stack.AdoptOrphans(); err != nil {
		return err
	}
	b, err := startFixture(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	r := report{
		Date: time.Now().UTC().Format(time.RFC3339), Commit: results.Commit(ctx), Machine: machine(),
		Seconds: o.length.Seconds(),
	}
	fmt.Printf("commit %s, %s, %s of load, %d clients\n", r.Commit, r.Machine, o.length, o.clients)
	if r.Jobs, r.Rows, r.Kills, err = b.soak(ctx, o); err != nil {
		return err
	}
	r.Passed = r.print(os.Stdout)
	if err := results.Append(o.out, r); err != nil {
		return err
	}
	if !r.Passed {
		return errors.New("something grew, or a promise was broken: see the tables")
	}
	fmt.Println("everything ended where it began")
	return nil
}

// soak warms the service up, measures it at rest, loads it while parts die, and measures it at rest
// again.
func (b *fixture) soak(ctx context.Context, o options) (summary, []row, map[string]int, error) {
	service, err := client.New(b.URL)
	if err != nil {
		return summary{}, nil, nil, err
	}
	l := &load{
		url: b.URL, clients: o.clients, service: service, webhooks: b.webhooks, redis: b.client,
		recent: map[string]int{},
	}
	fmt.Printf("warming up for %s\n", warmup)
	l.run(ctx, warmup)
	begin, err := b.awaitRest(ctx, nil)
	if err != nil {
		return summary{}, nil, nil, err
	}
	killing, stopKilling := context.WithCancel(ctx)
	c := &chaos{fixture: b, mean: o.kill, apiUntil: time.Now().Add(o.length / 2), kills: map[string]int{}}
	killed := make(chan error, 1)
	go func() { killed <- c.run(killing, l) }()
	l.run(ctx, o.length)
	stopKilling()
	if err := errors.Join(<-killed, ctx.Err()); err != nil {
		return summary{}, nil, nil, err
	}
	end, err := b.awaitRest(ctx, begin)
	if err != nil {
		return summary{}, nil, nil, err
	}
	rows := compare(begin, end)
	if slices.ContainsFunc(rows, func(r row) bool { return r.Grew && strings.HasPrefix(r.What, "Redis") }) {
		for name, n := range end {
			if strings.HasPrefix(name, keyPrefix) && n > begin[name] {
				fmt.Printf("%s: %.0f, at the beginning %.0f\n", name, n, begin[name])
			}
		}
	}
	left, err := b.stopAll()
	if err != nil {
		return summary{}, nil, nil, err
	}
	rows = append(rows, left...)
	ran, err := b.runCounts()
	return l.verify(ran), rows, c.kills, err
}
