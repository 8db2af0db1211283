package dispatch

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// shownActivity is what a test wants of an Activity. wait is the age of a job in seconds, -1 for none.
type shownActivity struct{ queued, running, wait int }

func (s *replica) activity(t *testing.T, tenant jobs.Tenant) jobs.Activity {
	t.Helper()
	got, err := s.Activity(byOperator(t.Context()), tenant)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// wantActivity compares the activity of tenants, "" being all.
func (s *replica) wantActivity(t *testing.T, want map[jobs.Tenant]shownActivity) {
	t.Helper()
	for tenant, activity := range want {
		isOfAge := s.readAges(t)
		got := s.activity(t, tenant)
		isRight := got.OldestWait == nil && activity.wait == -1 ||
			got.OldestWait != nil && isOfAge(*got.OldestWait, activity.wait)
		if got.Queued != activity.queued || got.Running != activity.running || !isRight {
			t.Errorf("%q has %+v, want %+v", tenant, got, activity)
		}
	}
}

// age makes a job look as if it were accepted that many seconds before the first call.
func (s *replica) age(t *testing.T, id string, seconds int) {
	t.Helper()
	if s.agedFrom.IsZero() {
		s.agedFrom = s.client.Time(t.Context()).Val()
	}
	at := s.agedFrom.Add(-time.Duration(seconds) * time.Second)
	if err := s.client.HSet(t.Context(), "cellblock:{"+id+"}:job", "created_at", at.UnixMicro()).Err(); err != nil {
		t.Fatal(err)
	}
}

// readAges returns a function that reports whether a wait, which was read between the two calls, is that of a job with
// an age.
func (s *replica) readAges(t *testing.T) (isOfAge func(wait time.Duration, age int) bool) {
	t.Helper()
	passed := func() time.Duration { return s.client.Time(t.Context()).Val().Sub(s.agedFrom) }
	before := passed()
	return func(wait time.Duration, age int) bool {
		wait -= time.Duration(age) * time.Second
		return before <= wait && wait <= passed()
	}
}

// startHolding starts a worker with as many places. Each of its jobs runs until one is released.
func (s *replica) startHolding(t *testing.T, places int) (taken <-chan string, release chan<- struct{}) {
	t.Helper()
	started, released := make(chan string, 100), make(chan struct{})
	at := store.New(s.client, store.DefaultSettings())
	take, args := store.TakeStep("w")
	consumer := queue.NewConsumer(s.client, queue.ConsumerSettings{
		Concurrency: places, ShutdownTimeout: 10 * time.Second, Step: queue.Step{Lua: take, Args: args},
	}, func(ctx context.Context, d queue.Delivery) error {
		ctx = context.WithoutCancel(ctx)
		claim, err := at.ClaimStart(ctx, d.ID, "t", "w", time.Minute)
		if err != nil || claim.Ended {
			return err
		}
		started <- d.ID
		<-released
		_, err = at.End(ctx, d.ID, jobs.Outcome{Result: []byte("1")})
		return err
	}, quiet)
	if err := consumer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(released)
		_ = consumer.Stop()
	})
	return started, released
}

// Several tenants have jobs of each priority, of batches, and with another environment.
func TestActivityCounts(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.report(t, "w", time.Hour, described(jobs.DefaultEnvironment), described("science"))
	s.awaitFleet(t, "the environments are known", func(f *fleet) bool { return len(f.names()) == 2 })
	s.wantActivity(t, map[jobs.Tenant]shownActivity{"": {0, 0, -1}, "acme": {0, 0, -1}})
	none := jobs.TenantLimits{}
	submit := func(tenant jobs.Tenant, request jobs.Request) string {
		t.Helper()
		request.Script, request.Async = "x", true
		record, err := s.Submit(as(t, tenant, none), request, "r")
		if err != nil {
			t.Fatal(err)
		}
		return record.ID
	}
	taken, release := s.startHolding(t, 3)
	for _, tenant := range []jobs.Tenant{"acme", "acme", jobs.Operator} {
		submit(tenant, jobs.Request{})
		<-taken
	}
	s.age(t, submit("beta", jobs.Request{Environment: "science"}), 1200)
	oldest := submit("acme", jobs.Request{Priority: jobs.PriorityLow})
	s.age(t, oldest, 900)
	s.age(t, submit("acme", jobs.Request{Priority: jobs.PriorityHigh}), 700)
	s.age(t, submit("acme", jobs.Request{}), 600)
	batch, err := s.SubmitBatch(as(t, "acme", none), newBatchRequest(4), "r")
	if err != nil {
		t.Fatal(err)
	}
	submit("beta", jobs.Request{Environment: "science", Priority: jobs.PriorityHigh})
	s.age(t, submit(jobs.Operator, jobs.Request{}), 300)
	s.wantActivity(t, map[jobs.Tenant]shownActivity{
		"": {10, 3, 1200}, "acme": {7, 2, 900}, "beta": {2, 0, 1200}, jobs.Operator: {1, 1, 300}, "other": {0, 0, -1},
	})
	// A job that has ended does not wait, although it is still in its flow.
	if _, err := s.Dispatcher.store.Cancel(t.Context(), jobs.OperatorCaller(), oldest); err != nil {
		t.Fatal(err)
	}
	s.wantActivity(t, map[jobs.Tenant]shownActivity{"": {9, 3, 1200}, "acme": {6, 2, 700}})
	if _, err := s.CancelBatch(as(t, "acme", none), batch.ID); err != nil {
		t.Fatal(err)
	}
	s.wantActivity(t, map[jobs.Tenant]shownActivity{"": {5, 3, 1200}, "acme": {2, 2, 700}})
	for range 3 {
		release <- struct{}{}
	}
	for range 3 {
		<-taken
	}
	s.wantActivity(t, map[jobs.Tenant]shownActivity{
		"": {2, 3, 1200}, "acme": {0, 2, -1}, "beta": {2, 0, 1200}, jobs.Operator: {0, 1, -1},
	})
}

// However many of the first jobs of a flow have been cancelled, the next one is the oldest.
func TestTheOldestJobBehindCancelledOnes(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	submit := func(priority jobs.Priority, age int) (id string) {
		t.Helper()
		request := jobs.Request{Script: "x", Async: true, Priority: priority}
		record, err := s.Submit(as(t, "acme", jobs.TenantLimits{}), request, "r")
		if err != nil {
			t.Fatal(err)
		}
		s.age(t, record.ID, age)
		return record.ID
	}
	var first []string
	for range 60 {
		first = append(first, submit("", 900))
	}
	submit("", 700)
	submit(jobs.PriorityHigh, 600)
	for _, id := range first {
		if _, err := s.Dispatcher.store.Cancel(t.Context(), jobs.OperatorCaller(), id); err != nil {
			t.Fatal(err)
		}
	}
	s.wantActivity(t, map[jobs.Tenant]shownActivity{"": {2, 0, 700}, "acme": {2, 0, 700}})
}

func TestCallersSeeTheirOwnActivity(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	for _, tenant := range []jobs.Tenant{"acme", "beta", "beta"} {
		request := jobs.Request{Script: "x", Async: true}
		if _, err := s.Submit(as(t, tenant, jobs.TenantLimits{}), request, "r"); err != nil {
			t.Fatal(err)
		}
	}
	acme := jobs.Caller{Tenant: "acme", Scopes: []jobs.Scope{jobs.ScopeRead}}
	for name, tc := range map[string]struct {
		caller jobs.Caller
		tenant jobs.Tenant
		want   int // queued jobs; -1 for CodeNotFound
	}{
		"own":                  {acme, "", 1},
		"own by name":          {acme, "acme", 1},
		"another's":            {acme, "beta", -1},
		"the operator's":       {acme, jobs.Operator, -1},
		"an unknown tenant's":  {acme, "nobody", -1},
		"no caller":            {jobs.Caller{}, "", -1},
		"no caller, by name":   {jobs.Caller{}, "acme", -1},
		"all, of the operator": {jobs.OperatorCaller(), "", 3},
		"one, of the operator": {jobs.OperatorCaller(), "beta", 2},
		"none":                 {jobs.OperatorCaller(), "nobody", 0},
	} {
		activity, err := s.Activity(jobs.WithCaller(t.Context(), tc.caller), tc.tenant)
		switch {
		case tc.want < 0:
			if jobs.CodeOf(err) != jobs.CodeNotFound {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || activity.Queued != tc.want || len(activity.Minutes) != jobs.ActivityMinutes:
			t.Errorf("%s: %+v, %v", name, activity, err)
		}
	}
	if _, err := s.ListWorkers(jobs.WithCaller(t.Context(), acme)); jobs.CodeOf(err) != jobs.CodeForbidden {
		t.Errorf("a tenant lists the workers: %v", err)
	}
	if workers, err := s.ListWorkers(byOperator(t.Context())); err != nil || len(workers) != 0 {
		t.Errorf("the operator lists %v, %v", workers, err)
	}
}

// fillFlows makes jobs wait: as many of each tenant, in as many flows.
func fillFlows(t *testing.T, client redis.UniversalClient, tenants, flows, each int) {
	t.Helper()
	fill := client.Pipeline()
	for tenant := range tenants {
		name := fmt.Sprintf("t%d", tenant)
		fill.Eval(t.Context(), `
redis.call("HSET", "cellblock:{index}:open_by_tenant", ARGV[1], ARGV[2] * ARGV[3])
redis.call("ZADD", "cellblock:{flows}:default", 1, ARGV[1])
local n = 0
for flow = 1, ARGV[2] do
	local key = "cellblock:{flows}:default:" .. ARGV[1]
	redis.call("ZADD", key, flow, "b:" .. flow)
	for i = 1, ARGV[3] do
		n = n + 1
		local id = string.format("%08d-%s", n, ARGV[1])
		redis.call("LPUSH", key .. ":b:" .. flow, id)
		redis.call("ZADD", "cellblock:{index}:open", 1, id .. " " .. ARGV[1])
		if i == 1 then
			redis.call("HSET", "cellblock:{" .. id .. "}:job", "state", "queued", "tenant", ARGV[1], "created_at", "1")
		end
	end
end`, nil, name, flows, each)
	}
	if _, err := fill.Exec(t.Context()); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
}

// commandCalls counts the commands that Redis has run, those of scripts too.
func commandCalls(t *testing.T, client redis.UniversalClient) (n int) {
	t.Helper()
	stats := client.Info(t.Context(), "commandstats").Val()
	for _, match := range regexp.MustCompile(`cmdstat_([a-z|_]+):calls=(\d+)`).FindAllStringSubmatch(stats, -1) {
		calls, err := strconv.Atoi(match[2])
		if err != nil {
			t.Fatal(err)
		}
		if match[1] != "info" {
			n += calls
		}
	}
	return n
}

// The commands that it costs Redis are bounded, however many jobs of however many tenants wait.
func TestTheCostOfActivityIsBounded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tenants, flows, each int
		tenant               jobs.Tenant
		most                 int
	}{
		"few":                          {3, 1, 1, "", 25},
		"100,000 jobs of 1000 tenants": {1000, 1, 100, "", 230},
		"one of 1000 tenants":          {1000, 1, 100, "t3", 25},
		"a tenant with 1000 batches":   {1, 1000, 5, "t0", 530},
	} {
		t.Run(name, func(t *testing.T) {
			s := newReplica(t, redistest.Start(t))
			fillFlows(t, s.client, tc.tenants, tc.flows, tc.each)
			s.Close() // it measures the load each second
			s.activity(t, tc.tenant)
			before := commandCalls(t, s.client)
			got := s.activity(t, tc.tenant)
			if cost := commandCalls(t, s.client) - before; cost > tc.most {
				t.Errorf("it costs %d commands", cost)
			}
			want := tc.tenants * tc.flows * tc.each
			if tc.tenant != "" {
				want = tc.flows * tc.each
			}
			if got.Queued != want || got.Running != 0 || got.OldestWait == nil || *got.OldestWait < time.Second {
				t.Errorf("got %+v, want %d queued", got, want)
			}
		})
	}
}

// Of more running jobs than are looked at, a tenant's are estimated.
func TestRunningJobsOfATenantAreEstimated(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ n, some, all, want int }{
		{0, 0, 0, 0}, {3, 10, 10, 3}, {250, 1000, 4000, 1000}, {1, 1000, 1500, 2}, {0, 1000, 4000, 0},
	} {
		if got := share(tc.n, tc.some, tc.all); got != tc.want {
			t.Errorf("%d of %d are %d of %d, want %d", tc.n, tc.some, got, tc.all, tc.want)
		}
	}
}
