package queue

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// crew is a few consumers, what they have at work, and the jobs that wait.
type crew struct {
	line

	mu    sync.Mutex
	hands []*hand
	// waiting are the jobs without a handler, and begun those that had one.
	waiting map[string]jobs.Job
	begun   map[string]int
	// withoutToken makes enqueue push none.
	withoutToken bool
	// most is the largest number of jobs of one tenant, and of batches, that a consumer had at a time.
	most int
}

// hand is a consumer.
type hand struct {
	concurrency, flowConcurrency int
	busy                         map[string]jobs.Job
}

func newCrew(t *testing.T) *crew {
	t.Helper()
	client := redistest.Client(t, redistest.Start(t))
	return &crew{
		line: line{
			Store:  store.New(client, store.Settings{ResultTTL: time.Minute, SyncResultTTL: time.Minute}),
			client: client, producer: NewProducer(client), names: map[string]string{},
		},
		waiting: map[string]jobs.Job{}, begun: map[string]int{},
	}
}

// hire starts a consumer that calls work for each job.
func (c *crew) hire(t *testing.T, url redis.UniversalClient, concurrency, flowConcurrency int, work func(jobs.Job)) {
	t.Helper()
	h := &hand{concurrency: concurrency, flowConcurrency: flowConcurrency, busy: map[string]jobs.Job{}}
	c.mu.Lock()
	c.hands = append(c.hands, h)
	c.mu.Unlock()
	lua, args := store.TakeStep(fmt.Sprint("w", len(c.hands)))
	consumer := NewConsumer(url, ConsumerSettings{
		Concurrency: concurrency, FlowConcurrency: flowConcurrency, ShutdownTimeout: 10 * time.Second,
		Step: Step{Lua: lua, Args: args},
	}, func(ctx context.Context, d Delivery) error {
		work(c.begin(h, d.ID))
		_, err := c.End(context.WithoutCancel(ctx), d.ID, jobs.Outcome{Result: []byte("1")})
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(h.busy, d.ID)
		return err
	}, slog.New(slog.DiscardHandler))
	if err := consumer.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = consumer.Stop() })
}

func (c *crew) begin(h *hand, id string) jobs.Job {
	c.mu.Lock()
	defer c.mu.Unlock()
	job := c.waiting[id]
	delete(c.waiting, id)
	c.begun[id]++
	h.busy[id] = job
	c.most = max(c.most, h.uses(job))
	return job
}

// uses returns the number of slots that count against the same bound as a job, 0 for none.
func (h *hand) uses(job jobs.Job) int {
	tenants, batches := 0, 0
	for _, busy := range h.busy {
		if busy.Tenant == job.Tenant && job.Tenant != jobs.Operator {
			tenants++
		}
		if busy.BatchItem.BatchID != "" && job.BatchItem.BatchID != "" {
			batches++
		}
	}
	return max(tenants, batches)
}

// couldStart returns what a consumer could start now: "" if nothing.
func (c *crew) couldStart() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, h := range c.hands {
		for _, job := range c.waiting {
			if len(h.busy) < h.concurrency && h.uses(job) < h.flowConcurrency {
				return fmt.Sprintf("consumer %d: tenant %q, batch %q", i, job.Tenant, job.BatchItem.BatchID)
			}
		}
	}
	return ""
}

func (c *crew) enqueue(t *testing.T, job jobs.Job) {
	t.Helper()
	job.ID, job.Tenant = jobs.NewID(), cmp.Or(job.Tenant, jobs.Operator)
	c.mu.Lock()
	c.waiting[job.ID] = job
	c.mu.Unlock()
	task, err := c.producer.Task(context.WithoutCancel(t.Context()), job.ID, job.Route())
	if c.withoutToken {
		task.Lua = "local function push_tokens() end\n" + strings.Replace(task.Lua, "local function push_tokens(",
			"local function push(", 1)
	}
	if err == nil {
		_, err = c.Accept(context.WithoutCancel(t.Context()), job, store.Step(task), store.OpenLimits{})
	}
	if err != nil {
		t.Error(err)
	}
}

func (c *crew) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}

// Whatever comes from whom, each job is delivered once, no consumer has more of a tenant than it may, and none has a
// free slot for a waiting job for long.
func TestNoConsumerSleepsBesideWorkForIt(t *testing.T) {
	t.Parallel()
	c := newCrew(t)
	work := func(jobs.Job) { time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) }
	for i, concurrency := range []int{2, 3, 3, 4} {
		c.hire(t, redistest.Client(t, redistest.URLOf(t, c.client)), concurrency, 1+i%2, work)
	}
	tenants := []jobs.Tenant{jobs.Operator, "a", "b", "c", "d"}
	stuck := c.watch(t)
	var producers sync.WaitGroup
	for range 4 {
		producers.Go(func() {
			for range 12 {
				job := jobs.Job{Tenant: tenants[rand.IntN(len(tenants))], Priority: jobs.Priorities()[rand.IntN(3)]}
				if rand.IntN(3) == 0 {
					job.BatchItem = jobs.BatchItem{BatchID: fmt.Sprint("x", rand.IntN(3))}
				}
				for range 1 + rand.IntN(12) {
					c.enqueue(t, job)
				}
				time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
			}
		})
	}
	producers.Wait()
	waitFor(t, "all jobs have begun", 30*time.Second, func() bool { return c.left() == 0 })
	if longest := stuck(); longest > leftPoll+500*time.Millisecond {
		t.Errorf("a consumer slept beside work for %s", longest)
	} else {
		t.Logf("the longest sleep of a consumer beside work for it was %s", longest)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.most > 2 {
		t.Errorf("a consumer had %d jobs of a tenant", c.most)
	}
	for id, n := range c.begun {
		if n != 1 {
			t.Errorf("job %s was delivered %d times", id, n)
		}
	}
}

// watch looks for free slots beside work for them until the returned function is called, which returns for how long
// there were some at most.
func (c *crew) watch(t *testing.T) func() time.Duration {
	t.Helper()
	done := make(chan struct{})
	var watching sync.WaitGroup
	var longest time.Duration
	watching.Go(func() {
		since := time.Now()
		for ticker := time.Tick(5 * time.Millisecond); ; {
			select {
			case <-done:
				return
			case <-ticker:
			}
			if c.couldStart() == "" {
				since = time.Now()
			} else {
				longest = max(longest, time.Since(since))
			}
		}
	})
	stop := sync.OnceFunc(func() {
		close(done)
		watching.Wait()
	})
	t.Cleanup(stop)
	return func() time.Duration {
		stop()
		return longest
	}
}

// Jobs of batches, and those of a tenant, leave one slot free however many there are and however long they take, and
// use all others.
func TestFlowsLeaveASlotForOthers(t *testing.T) {
	t.Parallel()
	for name, flood := range map[string]jobs.Job{
		"batches": {BatchItem: jobs.BatchItem{BatchID: "x"}}, "a tenant": {Tenant: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, hold := newCrew(t), make(chan struct{})
			arrived := make(chan jobs.Priority, 100)
			const n = 40
			for range n {
				c.enqueue(t, flood)
			}
			c.hire(t, c.client, 3, 2, func(job jobs.Job) {
				arrived <- job.Priority
				if job.Priority != jobs.PriorityHigh {
					<-hold
				}
			})
			<-arrived
			<-arrived
			c.enqueue(t, jobs.Job{Tenant: "b", Priority: jobs.PriorityHigh})
			select {
			case priority := <-arrived:
				if priority != jobs.PriorityHigh {
					t.Error("the free slot was used")
				}
			case <-time.After(wakePoll / 5):
				t.Fatal("another tenant's job waits behind them")
			}
			begun := time.Now()
			close(hold)
			waitFor(t, "all are done", 20*time.Second, func() bool { return c.left() == 0 })
			// The end of each job makes the consumer poll; without that it polls every second.
			if took := time.Since(begun); took > 4*time.Second {
				t.Errorf("they took %s", took)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.most != 2 {
				t.Errorf("%d were at work at once", c.most)
			}
		})
	}
}

// The operator's single jobs may use all slots.
func TestTheOperatorUsesAllSlots(t *testing.T) {
	t.Parallel()
	c, hold := newCrew(t), make(chan struct{})
	arrived := make(chan struct{}, 10)
	for range 6 {
		c.enqueue(t, jobs.Job{})
	}
	c.hire(t, c.client, 3, 1, func(jobs.Job) {
		arrived <- struct{}{}
		<-hold
	})
	defer close(hold)
	for i := range 3 {
		select {
		case <-arrived:
		case <-time.After(2 * time.Second):
			t.Fatalf("%d slots are used", i)
		}
	}
}

// A consumer at its bound leaves the tokens to consumers that have room.
func TestAConsumerAtItsBoundLeavesTokens(t *testing.T) {
	t.Parallel()
	c, hold := newCrew(t), make(chan struct{})
	arrived := make(chan time.Time, 10)
	for range 2 {
		c.hire(t, redistest.Client(t, redistest.URLOf(t, c.client)), 3, 1, func(jobs.Job) {
			arrived <- time.Now()
			<-hold
		})
	}
	defer close(hold)
	waitForIdleConsumers(t, c.client, 2)
	// The consumer that began to wait first gets the first job, and is the last one to wait then.
	c.enqueue(t, jobs.Job{Tenant: "a"})
	<-arrived
	waitForIdleConsumers(t, c.client, 2)
	// A job of another tenant moves the other one behind it.
	c.enqueue(t, jobs.Job{Tenant: "b"})
	<-arrived
	waitForIdleConsumers(t, c.client, 2)
	for _, tenant := range []jobs.Tenant{"a", "b"} {
		before := time.Now()
		c.enqueue(t, jobs.Job{Tenant: tenant})
		if took := (<-arrived).Sub(before); took > leftPoll/2 {
			t.Errorf("a job of %s waited %s beside a free slot", tenant, took)
		}
		waitForIdleConsumers(t, c.client, 2)
	}
}

// A consumer that has left jobs does not wait long for a token: another one may have got it and died, or passed it on.
func TestAConsumerThatLeftJobsPollsOften(t *testing.T) {
	t.Parallel()
	c, hold := newCrew(t), make(chan struct{})
	arrived := make(chan jobs.Tenant, 10)
	c.hire(t, redistest.Client(t, redistest.URLOf(t, c.client)), 2, 1, func(job jobs.Job) {
		arrived <- job.Tenant
		<-hold
	})
	defer close(hold)
	for range 4 {
		c.enqueue(t, jobs.Job{Tenant: "a"})
	}
	<-arrived
	waitForIdleConsumers(t, c.client, 1)
	c.withoutToken = true
	c.enqueue(t, jobs.Job{Tenant: "b"})
	select {
	case tenant := <-arrived:
		if tenant != "b" {
			t.Errorf("a job of %s came", tenant)
		}
	case <-time.After(2 * leftPoll):
		t.Error("no job came")
	}
}

// A slot whose job never reaches a handler counts no more after a moment.
func TestASlotWithoutAHandlerIsFreed(t *testing.T) {
	t.Parallel()
	s := slots{bound: 1}
	s.take("lost", "a", false)
	if e := s.excluded(); !slices.Equal(e.tenants, []string{"a"}) {
		t.Errorf("excluded is %+v", e)
	}
	s.taken[0].at = time.Now().Add(-2 * beginBound)
	if e := s.excluded(); len(e.tenants) > 0 {
		t.Errorf("excluded is %+v", e)
	}
	s.take("held", "a", true)
	held := s.begin("held")
	s.taken[0].at = time.Now().Add(-2 * beginBound)
	e := s.excluded()
	if !e.batches || len(e.tenants) != 1 {
		t.Errorf("excluded is %+v", e)
	}
	if s.leave(e, true) || !s.end(held) || s.end(nil) || !s.leave(e, true) {
		t.Error("the end of a job does not make the consumer poll again, or nothing does")
	}
}
