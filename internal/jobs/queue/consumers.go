package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"cellblock/internal/redisparts"
)

// Consumers take the jobs of all parts for one worker: a Consumer for each part, and Concurrency deliveries of all of
// them together. Start them once and Stop them.
//
// A consumer polls while it has a turn, which is a slot that nothing uses. A job that it takes keeps the turn until its
// handler returns. The consumers that have found something queue for the next turn, so the parts with jobs are served
// one after the other. One that has found nothing waits for a token in its own part, without a turn. If the token comes
// while all slots are taken, the consumer passes it on: another worker may be idle.
type Consumers struct{ all []*Consumer }

// NewConsumers returns consumers on parts, whose client the caller owns and closes later. Each uses one connection for
// its wait; they use Concurrency others together, and two more each.
func NewConsumers(parts redisparts.Parts, settings ConsumerSettings, handle Handler, logger *slog.Logger) *Consumers {
	c := &Consumers{}
	for _, part := range parts.All() {
		c.all = append(c.all, newConsumer(part, jobLane(), settings, handle, logger))
	}
	if len(c.all) == 1 {
		return c
	}
	shared := &turns{free: semaphore.NewWeighted(int64(settings.Concurrency))}
	var slots []*slots
	for _, consumer := range c.all {
		consumer.client.turns = shared
		slots = append(slots, consumer.client.slots)
	}
	for _, consumer := range c.all {
		consumer.client.slots.peers = slots
		for _, peer := range c.all {
			if peer != consumer {
				consumer.peers = append(consumer.peers, peer)
			}
		}
	}
	return c
}

// Start starts all of them.
func (c *Consumers) Start() error {
	for _, consumer := range c.all {
		if err := consumer.Start(); err != nil {
			return errors.Join(err, c.Stop())
		}
	}
	return nil
}

// Stop stops all of them at the same time, as Consumer.Stop does.
func (c *Consumers) Stop() error {
	errs := make([]error, len(c.all))
	var stops sync.WaitGroup
	for i, consumer := range c.all {
		stops.Go(func() { errs[i] = consumer.Stop() })
	}
	stops.Wait()
	return errors.Join(errs...)
}

// SetEnvironments is Consumer.SetEnvironments for all of them.
func (c *Consumers) SetEnvironments(names []string) {
	for _, consumer := range c.all {
		consumer.SetEnvironments(names)
	}
}

// turns are the slots of a worker that its consumers have in common. It is safe for concurrent use. A nil *turns has no
// bound.
type turns struct {
	free *semaphore.Weighted

	mu sync.Mutex
	// taken are the jobs that were taken and have not reached a handler.
	taken []takenJob
}

type takenJob struct {
	id string
	at time.Time
}

// lostBound is when a job counts as lost between the poll that took it and its handler: asynq drops a task that it
// cannot decode. Its slot is free then.
const lostBound = 10 * time.Second

// hasTurn reports whether the consumer may poll now. If it may not, it waits for its turn, which is for the next poll:
// asynq has decided before the wait when the lease of a task expires.
func (c *consumerClient) hasTurn(ctx context.Context) bool {
	if c.turns == nil || c.inTurn {
		return true
	}
	c.turns.freeLost()
	if c.inTurn = c.turns.free.TryAcquire(1); c.inTurn {
		return true
	}
	if c.woken != "" {
		if wake(ctx, c.UniversalClient, c.woken, 1) == nil {
			c.woken = ""
		}
	}
	bounded, cancel := context.WithTimeout(context.Background(), wakePoll)
	defer cancel()
	defer context.AfterFunc(c.stopped, cancel)()
	c.inTurn = c.turns.free.Acquire(bounded, 1) == nil
	select {
	case <-c.stopping: // asynq goes on polling until its shutdown
		time.Sleep(stoppingPause)
	default:
	}
	return false
}

// endTurn ends the turn of a poll that has taken a job, "" for none.
func (c *consumerClient) endTurn(taken string) {
	if c.turns == nil {
		return
	}
	c.inTurn = false
	if taken == "" {
		c.turns.free.Release(1)
		return
	}
	c.turns.mu.Lock()
	defer c.turns.mu.Unlock()
	c.turns.taken = append(c.turns.taken, takenJob{id: taken, at: time.Now()})
}

// begin is called when a job reaches its handler, and end when that returns.
func (t *turns) begin(id string) (end func()) {
	if t == nil {
		return func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, job := range t.taken {
		if job.id == id {
			t.taken = append(t.taken[:i:i], t.taken[i+1:]...)
			return func() { t.free.Release(1) }
		}
	}
	return func() {} // it counted as lost
}

// freeLost frees the slots of jobs that will reach no handler.
func (t *turns) freeLost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.taken) > 0 && time.Since(t.taken[0].at) > lostBound {
		t.taken = t.taken[1:]
		t.free.Release(1)
	}
}
