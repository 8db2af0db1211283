package queue

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// line is a queue with the records of its jobs, from which jobs are taken one by one.
type line struct {
	*store.Store

	client   redis.UniversalClient
	producer *Producer
	consumer *Consumer
	names    map[string]string
}

func newLine(t *testing.T) *line {
	t.Helper()
	client := redistest.Open(t)
	lua, args := store.TakeStep("w")
	return &line{
		Store: store.New(client, store.Settings{ResultTTL: time.Minute, SyncResultTTL: time.Minute}), client: client,
		producer: NewProducer(client), names: map[string]string{},
		consumer: NewConsumer(client, ConsumerSettings{Concurrency: 1, Step: Step{Lua: lua, Args: args}},
			func(context.Context, Delivery) error { return nil }, slog.New(slog.DiscardHandler)),
	}
}

// add accepts n jobs and returns the id of the last one. Takes return name for each.
func (l *line) add(t *testing.T, n int, name string, job jobs.Job) string {
	t.Helper()
	job.Tenant = cmp.Or(job.Tenant, jobs.Operator)
	for range n {
		job.ID = jobs.NewID()
		task, err := l.producer.Task(t.Context(), job.ID, job.Route())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(t.Context(), job, store.Step(task), store.OpenLimits{}); err != nil {
			t.Fatal(err)
		}
		l.names[job.ID] = name
	}
	return job.ID
}

// take takes at most n jobs and returns their names, in order.
func (l *line) take(t *testing.T, n int, excluded exclusion) (names []string) {
	t.Helper()
	for range n {
		f := l.look(t, excluded)
		if f.task == nil {
			return names
		}
		names = append(names, l.names[f.id])
	}
	return names
}

func (l *line) look(t *testing.T, excluded exclusion) found {
	t.Helper()
	f, err := l.consumer.client.look(t.Context(), time.Now().Add(time.Minute).Unix(), excluded)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (l *line) end(t *testing.T, id string) {
	t.Helper()
	if _, err := l.End(t.Context(), id, jobs.Outcome{Result: []byte("1")}); err != nil {
		t.Fatal(err)
	}
}

// wantNoFlows fails if anything is left of flows.
func (l *line) wantNoFlows(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"cellblock:{flows}*", "cellblock:{running}*"} {
		if keys := l.client.Keys(t.Context(), pattern).Val(); len(keys) > 0 {
			t.Errorf("left are %q", keys)
		}
	}
}

func count(names []string) map[string]int {
	n := map[string]int{}
	for _, name := range names {
		n[name]++
	}
	return n
}

// fill occupies the fast path with jobs of the operator, so that all others enter flows, and takes them.
func (l *line) fill(t *testing.T, others func()) {
	t.Helper()
	l.add(t, 2, "first", jobs.Job{})
	others()
	if got := l.take(t, 2, exclusion{}); !slices.Equal(got, []string{"first", "first"}) {
		t.Fatalf("first came %q", got)
	}
}

var everything = exclusion{}

// While all flows have jobs, each gets its share of any number of jobs, but for one or two.
func TestSharesFollowWeights(t *testing.T) {
	t.Parallel()
	batch := func(id string) jobs.BatchItem { return jobs.BatchItem{BatchID: id} }
	for name, c := range map[string]struct {
		flows map[string]jobs.Job
		want  map[string]int
	}{
		"tenants of equal weight": {
			flows: map[string]jobs.Job{"a": {Tenant: "a"}, "b": {Tenant: "b"}, "operator": {}},
			want:  map[string]int{"a": 1, "b": 1, "operator": 1},
		},
		"tenants of other weights": {
			flows: map[string]jobs.Job{
				"a": {Tenant: "a", Weight: 8}, "b": {Tenant: "b"}, "c": {Tenant: "c", Weight: 3},
			},
			want: map[string]int{"a": 8, "b": 1, "c": 3},
		},
		"priorities and a batch of one tenant": {
			flows: map[string]jobs.Job{
				"high": {Priority: jobs.PriorityHigh}, "default": {}, "low": {Priority: jobs.PriorityLow},
				"batch": {Priority: jobs.PriorityBatch, BatchItem: batch("x")},
			},
			want: map[string]int{"high": 6, "default": 3, "low": 1, "batch": 1},
		},
		"batches count for their tenant": {
			flows: map[string]jobs.Job{
				"a1": {Tenant: "a", BatchItem: batch("x")}, "a2": {Tenant: "a", BatchItem: batch("y")},
				"b": {Tenant: "b", Priority: jobs.PriorityLow},
			},
			want: map[string]int{"a1": 1, "a2": 1, "b": 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, sum := newLine(t), 0
			for _, n := range c.want {
				sum += n
			}
			l.fill(t, func() {
				for _, name := range slices.Sorted(maps.Keys(c.flows)) {
					l.add(t, 8*c.want[name], name, c.flows[name])
				}
			})
			for range 7 {
				got := count(l.take(t, sum, everything))
				for name, want := range c.want {
					if n := got[name]; n < want-1 || n > want+1 {
						t.Errorf("of %d jobs, %d were of %s, want %d", sum, n, name, want)
					}
				}
			}
			if n := len(l.take(t, 2*sum, everything)); n != sum {
				t.Errorf("%d were left, want %d", n, sum)
			}
			l.wantNoFlows(t)
		})
	}
}

// A tenant that sends one job at a time is not always the next one.
func TestAFlowThatEmptiesAndReturnsGainsNothing(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	for _, patient := range []jobs.Job{{Tenant: "m"}, {Tenant: "0", Priority: jobs.PriorityLow}} {
		l.fill(t, func() {
			l.add(t, 40, "patient", patient)
			// Its name comes first among those with the same score.
			l.add(t, 1, "sly", jobs.Job{Tenant: "0", Priority: jobs.PriorityHigh})
		})
		sly := 0
		for range 40 {
			if l.take(t, 1, everything)[0] == "sly" {
				sly++
				l.add(t, 1, "sly", jobs.Job{Tenant: "0", Priority: jobs.PriorityHigh})
			}
		}
		least, most := 19, 21
		if patient.Tenant == "0" { // six times the weight of the other flow
			least, most = 33, 35
		}
		if sly < least || sly > most {
			t.Errorf("%d of 40 jobs were sly", sly)
		}
		l.take(t, 100, everything)
		l.wantNoFlows(t)
	}
}

// A job of a tenant that comes while another has many is the second next at the latest.
func TestANewTenantIsNext(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() { l.add(t, 300, "a", jobs.Job{Tenant: "a"}) })
	for range 3 {
		l.take(t, 50, everything)
		l.add(t, 1, "b", jobs.Job{Tenant: "b"})
		if got := l.take(t, 2, everything); !slices.Contains(got, "b") {
			t.Errorf("next came %q", got)
		}
	}
}

// What has reached its bound on this worker is passed over, and left where others find it.
func TestExcludedJobsAreLeft(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	item := jobs.BatchItem{BatchID: "x"}
	l.add(t, 1, "a", jobs.Job{Tenant: "a"}) // on the fast path
	l.add(t, 1, "operator", jobs.Job{})
	l.add(t, 5, "a", jobs.Job{Tenant: "a"})
	l.add(t, 5, "batch", jobs.Job{Tenant: "b", BatchItem: item})
	l.add(t, 5, "batch", jobs.Job{BatchItem: item})
	l.add(t, 1, "c", jobs.Job{Tenant: "c"})
	excluded := exclusion{tenants: []string{"a"}, batches: true}
	if got := count(l.take(t, 100, excluded)); !maps.Equal(got, map[string]int{"operator": 1, "c": 1}) {
		t.Errorf("taken were %v", got)
	}
	if f := l.look(t, excluded); f.task != nil || !f.left {
		t.Errorf("found %+v", f)
	}
	if got := count(l.take(t, 100, everything)); !maps.Equal(got, map[string]int{"a": 6, "batch": 10}) {
		t.Errorf("left were %v", got)
	}
	if n := keyCount(t, l.client, "active"); n != 18 {
		t.Errorf("%d tasks are with consumers", n)
	}
	l.wantNoFlows(t)
}

// What a tenant has had counts, though its flow is empty, until others have had as much or were passed over.
func TestAnEmptyFlowBehindExcludedOnesGainsNothing(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() {
		l.add(t, 3, "a", jobs.Job{Tenant: "a"})
		l.add(t, 1, "c", jobs.Job{Tenant: "c"})
	})
	barred := exclusion{tenants: []string{"a"}}
	if got := l.take(t, 1, barred); !slices.Equal(got, []string{"c"}) {
		t.Errorf("taken were %q", got)
	}
	l.look(t, barred)
	l.add(t, 1, "c", jobs.Job{Tenant: "c"})
	for _, tenant := range []string{"a", "c"} {
		if score := l.client.ZScore(t.Context(), "cellblock:{flows}:default", tenant).Val(); score != 1 {
			t.Errorf("the score of %s is %v", tenant, score)
		}
	}
}

// However many tenants came and went behind one that this worker must not take, a poll is as cheap as before.
func TestEmptiedTenantsBehindExcludedOnesCostNothing(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() { l.add(t, 10, "a", jobs.Job{Tenant: "a"}) })
	barred := exclusion{tenants: []string{"a"}}
	for i := range 500 {
		l.add(t, 1, "x", jobs.Job{Tenant: jobs.Tenant(fmt.Sprint("t", i))})
		if got := l.take(t, 1, barred); !slices.Equal(got, []string{"x"}) {
			t.Fatalf("taken were %q", got)
		}
	}
	l.look(t, barred)
	before := commandCalls(t, l.client)
	if f := l.look(t, barred); f.task != nil || !f.left {
		t.Errorf("found %+v", f)
	}
	if n := commandCalls(t, l.client) - before; n > 20 {
		t.Errorf("an empty poll costs %d commands", n)
	}
	if got := count(l.take(t, 20, everything)); got["a"] != 10 {
		t.Errorf("left were %v", got)
	}
	l.wantNoFlows(t)
}

// A token that brought nothing but excluded jobs goes to the consumers that may run them, one for one.
func TestATokenOfExcludedJobsIsPassedOn(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() { l.add(t, 3, "a", jobs.Job{Tenant: "a"}) })
	spilled := func() int64 { return l.client.LLen(t.Context(), "{cellblock:wake}:spill").Val() }
	if n := spilled(); n != 2 { // the first one opened the flow
		t.Errorf("%d tokens were spilled", n)
	}
	before := spilled()
	for _, woken := range []string{"", "cellblock:wake", "{cellblock:wake}:spill"} {
		l.consumer.client.woken = woken
		l.look(t, exclusion{tenants: []string{"a"}})
		if n := spilled() - before; (n == 1) != (woken != "") {
			t.Errorf("woken by %q, %d tokens were passed on", woken, n)
		}
		before = spilled()
	}
	l.consumer.client.woken = "cellblock:wake"
	l.look(t, everything)
	if n := spilled(); n != before {
		t.Error("a token was passed on though a job was taken")
	}
}

// However many tenants have jobs that this worker must not take, it finds the one that it may.
func TestAJobBehindThousandTenantsIsFound(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() {
		for i := range 1000 {
			name := fmt.Sprintf("t%d", i)
			l.add(t, 1, "batch", jobs.Job{Tenant: jobs.Tenant(name), BatchItem: jobs.BatchItem{BatchID: name}})
		}
		l.add(t, 1, "single", jobs.Job{Tenant: "z"})
	})
	excluded := exclusion{batches: true}
	if got := l.take(t, 2, excluded); !slices.Equal(got, []string{"single"}) {
		t.Errorf("taken were %q", got)
	}
	if f := l.look(t, excluded); !f.left {
		t.Error("the others are not reported")
	}
	if n := len(l.take(t, 2000, everything)); n != 1000 {
		t.Errorf("%d were left", n)
	}
	l.wantNoFlows(t)
}

// A tenant that was passed over for long is not owed all that others had meanwhile.
func TestAPassedOverTenantIsNotOwedMore(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() {
		l.add(t, 100, "a", jobs.Job{Tenant: "a"})
		l.add(t, 100, "b", jobs.Job{Tenant: "b"})
	})
	l.take(t, 50, exclusion{tenants: []string{"a"}})
	if got := count(l.take(t, 20, everything)); got["b"] < 9 {
		t.Errorf("then came %v", got)
	}
}

// The same holds for batches beside the single jobs of their tenant.
func TestPassedOverBatchesAreNotOwedMore(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() {
		for _, id := range []string{"x", "y"} {
			l.add(t, 60, "batch", jobs.Job{Priority: jobs.PriorityBatch, BatchItem: jobs.BatchItem{BatchID: id}})
		}
		l.add(t, 200, "high", jobs.Job{Priority: jobs.PriorityHigh})
	})
	l.take(t, 100, exclusion{batches: true})
	if got := count(l.take(t, 80, everything)); got["high"] < 58 || got["batch"] < 18 {
		t.Errorf("then came %v", got)
	}
}

// The jobs of a tenant with a bound are let in one for one, whatever becomes of those that were.
func TestRunningJobsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	bounded := jobs.Job{Tenant: "a", MaxRunning: 2}
	l.add(t, 6, "a", bounded)
	l.add(t, 1, "b", jobs.Job{Tenant: "b"})
	first := l.look(t, everything)
	if got := count(l.take(t, 5, everything)); !maps.Equal(got, map[string]int{"a": 1, "b": 1}) {
		t.Fatalf("taken were %v", got)
	}
	l.add(t, 1, "a", bounded) // in the meantime
	if got := l.take(t, 1, everything); len(got) != 0 {
		t.Fatalf("taken were %q", got)
	}
	l.client.Del(t.Context(), "cellblock:wake")
	l.end(t, first.id)
	l.end(t, first.id) // its reply was lost
	if n := l.client.LLen(t.Context(), "cellblock:wake").Val(); n != 1 {
		t.Errorf("%d tokens", n)
	}
	second := l.look(t, everything)
	if l.names[second.id] != "a" || l.look(t, everything).task != nil {
		t.Fatal("the end of one let in none, or more than one")
	}
	// A record is lost, and a worker of an earlier version ends a job.
	l.client.Del(t.Context(), "cellblock:{"+second.id+"}:job")
	if n, err := l.ReleaseEnded(t.Context()); n != 1 || err != nil {
		t.Errorf("released %d, %v", n, err)
	}
	for range 4 {
		f := l.look(t, everything)
		if f.task == nil {
			t.Fatal("the next one waits for good")
		}
		l.end(t, f.id)
	}
	for _, id := range l.client.SMembers(t.Context(), "cellblock:{running}:a").Val() {
		l.end(t, id)
	}
	if _, err := l.ReleaseEnded(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.look(t, everything)
	l.wantNoFlows(t)
}

// A job that a worker leaves to another one lets the other jobs of its tenant go ahead.
func TestAJobLeftToAnotherConsumerDoesNotCountAsRunning(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	bounded := jobs.Job{Tenant: "a", MaxRunning: 1}
	big := l.add(t, 1, "big", bounded)
	l.add(t, 2, "small", bounded)
	if f := l.look(t, everything); f.id != big {
		t.Fatalf("first came %q", l.names[f.id])
	}
	for range 2 { // a reply was lost
		if err := l.Untake(t.Context(), big, "w"); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Untake(t.Context(), big, "another"); err != nil {
		t.Fatal(err)
	}
	if got := l.take(t, 2, everything); !slices.Equal(got, []string{"small"}) {
		t.Errorf("then came %q", got)
	}
}

// A tenant that comes back from its bound has no score of an order that has ended since.
func TestATenantAtItsBoundReturnsAtTheVirtualTime(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() {
		l.add(t, 25, "a", jobs.Job{Tenant: "a", MaxRunning: 1})
		l.add(t, 20, "b", jobs.Job{Tenant: "b"})
	})
	taken, last := 0, ""
	for f := l.look(t, everything); f.task != nil; f = l.look(t, everything) {
		if l.names[f.id] != "a" {
			continue
		}
		last = f.id
		if taken++; taken < 20 {
			l.end(t, last)
		}
	}
	l.add(t, 40, "c", jobs.Job{Tenant: "c"})
	l.end(t, last)
	if got := l.take(t, 4, everything); !slices.Contains(got, "a") {
		t.Errorf("then came %q", got)
	}
}

// A bound holds for each job that was accepted with it, whatever the terms of the job that opened the flow.
func TestABoundHoldsForJobsOfAnyFlow(t *testing.T) {
	t.Parallel()
	bounded := jobs.Job{Tenant: "a", MaxRunning: 2}
	for name, add := range map[string]func(*line){
		"it comes while jobs wait": func(l *line) {
			l.add(t, 3, "free", jobs.Job{Tenant: "a"})
			l.add(t, 9, "bounded", bounded)
		},
		"another key has none": func(l *line) {
			l.add(t, 9, "bounded", bounded)
			l.add(t, 3, "free", jobs.Job{Tenant: "a", Priority: jobs.PriorityHigh})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLine(t)
			l.fill(t, func() { add(l) })
			var taken []string
			for f := l.look(t, everything); f.task != nil; f = l.look(t, everything) {
				taken = append(taken, f.id)
			}
			free := 0
			for bounded := 0; len(taken) > 0; taken = taken[1:] {
				if l.names[taken[0]] == "free" {
					free++
				} else if bounded++; len(taken) > 2+3 {
					t.Fatalf("%d are at work at once", len(taken))
				}
				l.end(t, taken[0])
				for f := l.look(t, everything); f.task != nil; f = l.look(t, everything) {
					taken = append(taken, f.id)
				}
			}
			if free != 3 || countWaiting(t, l.client) != 0 {
				t.Errorf("%d without a bound were taken, %d wait", free, countWaiting(t, l.client))
			}
			if _, err := l.ReleaseEnded(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.wantNoFlows(t)
		})
	}
}

// Each job of a bounded tenant that may run wakes a consumer, though several jobs have ended with one token.
func TestAJobOfABoundedTenantWakesTheNextConsumer(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.add(t, 4, "a", jobs.Job{Tenant: "a", MaxRunning: 2})
	first, second := l.look(t, everything), l.look(t, everything)
	l.look(t, everything)
	l.client.Del(t.Context(), "cellblock:wake")
	l.end(t, first.id)
	l.end(t, second.id)
	for i := range 2 {
		if n := l.client.LPop(t.Context(), "cellblock:wake").Err(); n != nil {
			t.Errorf("there is no token for job %d that may run", i)
		}
		l.look(t, everything)
	}
	if n := l.client.LLen(t.Context(), "cellblock:wake").Val(); n != 0 {
		t.Errorf("%d tokens are left", n)
	}
}

// A job that was withdrawn while it waited takes no place when it is taken.
func TestAWithdrawnJobDoesNotCountAsRunning(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.end(t, l.add(t, 1, "withdrawn", jobs.Job{Tenant: "a", MaxRunning: 1}))
	l.add(t, 1, "next", jobs.Job{Tenant: "a", MaxRunning: 1})
	if got := l.take(t, 3, everything); !slices.Equal(got, []string{"withdrawn", "next"}) {
		t.Errorf("taken were %q", got)
	}
}

// A job that is delivered again waits in its flow, as the first one, and not as one that runs.
func TestADelayedJobWaitsInItsFlow(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.add(t, 3, "a", jobs.Job{Tenant: "a", MaxRunning: 1})
	f := l.look(t, everything)
	// What asynq's script does (retryCmd).
	l.client.LRem(t.Context(), key(defaultQueue, "active"), 0, f.id)
	l.client.ZRem(t.Context(), key(defaultQueue, "lease"), f.id)
	l.client.ZAdd(t.Context(), key(defaultQueue, "retry"), redisZ(1, f.id))
	l.client.HSet(t.Context(), key(defaultQueue, "t:"+f.id), "state", "retry")
	l.consumer.client.upkeep.forget()
	n, err := l.consumer.client.forward(t.Context(), "retry", time.Now().Unix()).Int()
	if n != 1 || err != nil {
		t.Fatalf("forwarded %d, %v", n, err)
	}
	again := l.look(t, everything)
	if again.id != f.id || l.look(t, everything).task != nil {
		t.Error("it is not the next one, or does not count")
	}
	l.end(t, again.id)
	if l.look(t, everything).task == nil {
		t.Error("its end lets none in")
	}
}

// A flow that is missing in the order, for whatever reason, is put back.
func TestReopen(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	route := jobs.Route{Tenant: "a", Priority: jobs.PriorityLow}
	l.fill(t, func() { l.add(t, 3, "a", jobs.Job{Tenant: "a", Priority: jobs.PriorityLow}) })
	reopen := func() int {
		n, err := l.producer.Reopen(t.Context(), []jobs.Route{route, {}, route})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := reopen(); n != 0 {
		t.Errorf("reopened %d", n)
	}
	for _, lost := range []string{"cellblock:{flows}:default", "cellblock:{flows}:default:a"} {
		l.client.Del(t.Context(), lost)
		if n := reopen(); n != 1 {
			t.Errorf("without %s, reopened %d", lost, n)
		}
		if got := l.take(t, 1, everything); len(got) != 1 {
			t.Errorf("without %s, taken are %q", lost, got)
		}
	}
}

// A waiting job that is forgotten leaves nothing behind, though no worker has its environment.
func TestForgetLeavesNoFlow(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	job := jobs.Job{Tenant: "a", Environment: "science", Weight: 2}
	var ids []string
	for range 5 {
		ids = append(ids, l.add(t, 1, "a", job))
	}
	for _, id := range ids {
		if err := l.producer.Forget(t.Context(), id, job.Route()); err != nil {
			t.Fatal(err)
		}
	}
	l.wantNoFlows(t)
	if keys := l.client.Keys(t.Context(), "asynq:{env:*").Val(); len(keys) > 0 {
		t.Errorf("left are %q", keys)
	}
}

// The jobs of a tenant whose weight changes wait in one flow.
func TestTermsChangeWithTheNextFlow(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.fill(t, func() {
		l.add(t, 1, "a", jobs.Job{Tenant: "a", Weight: 5})
		l.add(t, 20, "a", jobs.Job{Tenant: "a", Priority: jobs.PriorityLow})
		l.add(t, 20, "b", jobs.Job{Tenant: "b"})
	})
	if got := count(l.take(t, 20, everything)); got["b"] < 9 {
		t.Errorf("taken were %v", got)
	}
	if keys := l.client.ZRange(t.Context(), "cellblock:{flows}:default:a", 0, -1).Val(); slices.ContainsFunc(keys,
		func(member string) bool { return strings.HasPrefix(member, "=") }) {
		t.Errorf("the tenant's flows are %q", keys)
	}
}

// The tasks of an earlier version are taken, and wake an idle consumer.
func TestTasksInOldQueuesAreTaken(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Client(t, url)
	consumer, ids := environmentConsumer(t, url, nil, "science")
	for _, queue := range []string{"high", "low", "env:science:low", "default"} {
		waitFor(t, "the consumer does not look for such tasks", 2*wakePoll, consumer.client.upkeep.isQuiet)
		waitForIdleConsumers(t, client, 1)
		id := jobs.NewID()
		// As the producer of these versions did it.
		_, err := NewProducer(client).tasks[0].EnqueueContext(t.Context(), asynq.NewTask(taskType, []byte(id)),
			asynq.TaskID(id), asynq.Queue(queue), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
		if err != nil {
			t.Fatal(err)
		}
		want(t, ids, id, forwardInterval/4)
	}
	waitFor(t, "nothing is left", wakePoll, func() bool {
		keys, err := client.Keys(t.Context(), "asynq:*").Result()
		return err == nil && !slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(key, ":t:") })
	})
}

// A job costs as many commands with many waiting jobs of many tenants as with few.
func TestTheCostOfATurnIsFlat(t *testing.T) {
	t.Parallel()
	costs := map[int]float64{}
	for _, tenants := range []int{5, 1000} {
		l := newLine(t)
		l.fill(t, func() {
			for i := range 4 * tenants {
				l.add(t, 1, "", jobs.Job{Tenant: jobs.Tenant(fmt.Sprint("t", i%tenants))})
			}
		})
		const n = 20
		before := commandCalls(t, l.client)
		for range n {
			l.end(t, l.look(t, everything).id)
			l.add(t, 1, "", jobs.Job{Tenant: "t1"})
		}
		costs[tenants] = float64(commandCalls(t, l.client)-before) / n
	}
	t.Logf("commands of a job by the number of tenants: %v", costs)
	// Housekeeping comes at random: each figure varies by about one command.
	if costs[1000] > costs[5]+3 {
		t.Error("more tenants make a job cost more")
	}
}
