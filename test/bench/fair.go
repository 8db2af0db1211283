package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"cellblock/internal/jobs"
	jobdispatch "cellblock/internal/jobs/dispatch"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/notify"
	"cellblock/internal/redisconn"
	"cellblock/test/stack"
)

const (
	// fairWaiting is how many short jobs of the first tenant wait, and fairLong how many long ones.
	fairWaiting, fairLong = 10_000, 40
	// fairCalls is how many jobs the second tenant runs beside the short ones, and fairLongCalls beside the long ones.
	fairCalls, fairLongCalls = 100, 10
	// fairAim and fairLongAim are the most milliseconds that these may take: at the median, and the longest.
	fairAim, fairLongAim = 350, 1000
)

// fair is what one tenant's jobs take while those of another wait, on one worker with two slots.
type fair struct {
	Rounds []fairRound `json:"rounds"`
	// Costs are the costs of a job that is accepted and taken while others wait.
	Costs []fairCost `json:"costs"`
}

// fairRound is one setting.
type fairRound struct {
	Name string `json:"name"`
	// Waiting are the first tenant's jobs that wait at the beginning and at the end.
	WaitingBefore int64 `json:"waiting_before"`
	WaitingAfter  int64 `json:"waiting_after"`
	// Other has the times of the other tenant's synchronous jobs.
	Other summary `json:"other"`
	// Aim is for the median, or for the longest if IsLongest is true.
	Aim       float64 `json:"aim_ms"`
	IsLongest bool    `json:"aim_is_longest"`
}

// fairSetting is what waits in a round.
type fairSetting struct {
	name string
	// count jobs of a tenant wait, which sleep for a time; as one batch if isBatch is true.
	tenant  jobs.Tenant
	count   int
	sleep   time.Duration
	isBatch bool
	// slots is WORKER_FLOW_SLOTS.
	slots string
}

const (
	fairShort    = 100 * time.Millisecond
	fairLongTime = 10 * time.Second
)

var fairSettings = []fairSetting{
	{name: "10,000 jobs of 100 ms of a tenant", tenant: "a", count: fairWaiting, sleep: fairShort, slots: "0"},
	{name: "the same, which may use both slots", tenant: "a", count: fairWaiting, sleep: fairShort, slots: "2"},
	{name: "10,000 of the operator", tenant: jobs.Operator, count: fairWaiting, sleep: fairShort, slots: "0"},
	{name: "jobs of 10 s of a tenant", tenant: "a", count: fairLong, sleep: fairLongTime, slots: "0"},
	{name: "a batch of them", tenant: jobs.Operator, count: fairLong, sleep: fairLongTime, slots: "0", isBatch: true},
}

func measureFair(ctx context.Context, programs stack.Programs) (*fair, error) {
	result := &fair{}
	for _, setting := range fairSettings {
		round, err := setting.measure(ctx, programs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting.name, err)
		}
		result.Rounds = append(result.Rounds, round)
	}
	var err error
	result.Costs, err = measureFairCosts(ctx)
	return result, err
}

// measure makes the jobs of one tenant wait and measures those of another.
func (f fairSetting) measure(ctx context.Context, programs stack.Programs) (_ fairRound, err error) {
	result, calls := fairRound{Name: f.name, Aim: fairAim}, fairCalls
	if f.sleep == fairLongTime {
		result.Aim, result.IsLongest, calls = fairLongAim, true, fairLongCalls
	}
	s, err := stack.Start(ctx, stack.Config{Programs: programs, Workers: []stack.Env{
		{"WORKER_CONCURRENCY": "2", "WORKER_FLOW_SLOTS": f.slots, "PRELOAD": ""},
	}})
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	d, done, err := newFairDispatcher(s.RedisURL)
	if err != nil {
		return result, err
	}
	defer done()
	script := fmt.Sprintf("import time\ndef main():\n    time.sleep(%g)\n", f.sleep.Seconds())
	if f.isBatch {
		err = d.submitBatch(ctx, f.tenant, script, f.count)
	} else {
		err = d.submit(ctx, f.tenant, script, f.count)
	}
	if err != nil {
		return result, err
	}
	if err := pause(ctx, time.Second); err != nil { // all slots that they may have are in use
		return result, err
	}
	result.WaitingBefore = d.open(ctx)
	var times []time.Duration
	for range calls {
		took, err := d.run(ctx, "b")
		if err != nil {
			return result, err
		}
		times = append(times, took)
	}
	result.WaitingAfter, result.Other = d.open(ctx), summarize(times)
	return result, nil
}

// fairDispatcher accepts jobs as an API does.
type fairDispatcher struct {
	*jobdispatch.Dispatcher

	store *store.Store
}

func newFairDispatcher(url string) (*fairDispatcher, func(), error) {
	settings := redisconn.Settings{URL: url}
	client, err := settings.Open()
	if err != nil {
		return nil, nil, err
	}
	monitor, err := settings.Monitor()
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	records := store.New(monitor.Client(), store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour})
	d := jobdispatch.New(records, queue.NewProducer(monitor.Client()), client, notify.NewChannel(), monitor,
		jobdispatch.Settings{
			SyncWait: time.Minute, NoWorkerGrace: time.Minute, StartDeadline: time.Hour, QueueLimit: 1_000_000,
		}, slog.New(slog.DiscardHandler))
	return &fairDispatcher{d, records}, func() {
		d.Close()
		_ = errors.Join(client.Close(), monitor.Close())
	}, nil
}

// callerOf returns ctx with a caller of a tenant.
func callerOf(ctx context.Context, tenant jobs.Tenant) context.Context {
	return jobs.WithCaller(ctx, jobs.Caller{Tenant: tenant, Scopes: jobs.Scopes()})
}

// submit submits count asynchronous jobs of a tenant.
func (d *fairDispatcher) submit(ctx context.Context, tenant jobs.Tenant, script string, count int) error {
	group, ctx := errgroup.WithContext(callerOf(ctx, tenant))
	group.SetLimit(clients)
	for range count {
		group.Go(func() error {
			_, err := d.Submit(ctx, jobs.Request{Script: script, Async: true, ReceivedAt: time.Now()}, "bench")
			return err
		})
	}
	return group.Wait()
}

func (d *fairDispatcher) submitBatch(ctx context.Context, tenant jobs.Tenant, script string, count int) error {
	request := jobs.BatchRequest{}
	for range count {
		request.Items = append(request.Items, jobs.ItemRequest{Request: jobs.Request{
			Script: script, Async: true, Priority: jobs.PriorityBatch,
		}})
	}
	_, err := d.SubmitBatch(callerOf(ctx, tenant), request, "bench")
	return err
}

// run runs a job of a tenant and returns how long that took.
func (d *fairDispatcher) run(ctx context.Context, tenant jobs.Tenant) (time.Duration, error) {
	began := time.Now()
	record, release, err := d.Execute(callerOf(ctx, tenant), jobs.Request{
		Script: "def main():\n    return 1\n", ReceivedAt: began,
	}, "bench", time.Minute, func() {})
	defer release()
	if err == nil && record.State != jobs.StateSucceeded {
		err = fmt.Errorf("a job ended as %q: %+v", record.State, record.Outcome)
	}
	return time.Since(began), err
}

// open counts the jobs that have not ended; 0 if Redis does not answer.
func (d *fairDispatcher) open(ctx context.Context) int64 {
	load, _ := d.store.ReadLoad(ctx)
	return int64(load.Open)
}

// print writes the rounds and the costs.
func (f *fair) print(w io.Writer) {
	fmt.Fprintf(w, "\nanother tenant's jobs beside\twaiting\tat the end\tmedian ms\tp99 ms\tmax ms\taim\n")
	for _, r := range f.Rounds {
		what, got := "median", r.Other.Median
		if r.IsLongest {
			what, got = "longest", r.Other.Max
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t%.1f\t%.1f\t%s %s\n", r.Name, r.WaitingBefore, r.WaitingAfter, r.Other.Median,
			r.Other.P99, r.Other.Max, what, verdict(got, r.Aim))
	}
	fmt.Fprintf(w, "\ncost of a job\ttenants\tcommands\tµs of Redis\n")
	for _, c := range f.Costs {
		fmt.Fprintf(w, "%d waiting\t%d\t%.1f\t%.0f\n", c.Waiting, c.Tenants, c.Commands, c.Microseconds)
	}
}
