package upgrade

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// crew does kinds of work again and again.
type crew struct {
	stop  chan struct{}
	all   sync.WaitGroup
	kinds []kind
	// pause is the time between two rounds of a client.
	pause time.Duration
	// rounds counts, for each kind, how often it was done.
	rounds []atomic.Int64

	mu     sync.Mutex
	errors []error
}

// startCrew starts goroutines for each kind. They end with the round in which dismiss is called.
func startCrew(ctx context.Context, p *party, kinds []kind, each int, pause time.Duration) *crew {
	c := &crew{stop: make(chan struct{}), kinds: kinds, pause: pause, rounds: make([]atomic.Int64, len(kinds))}
	for i, k := range kinds {
		for range each {
			c.all.Go(func() { c.work(ctx, p, k, &c.rounds[i]) })
		}
	}
	return c
}

func (c *crew) work(ctx context.Context, p *party, k kind, rounds *atomic.Int64) {
	for ctx.Err() == nil {
		if err := k.do(ctx, p); err != nil {
			c.mu.Lock()
			c.errors = append(c.errors, fmt.Errorf("%s: %w", k.name, err))
			c.mu.Unlock()
		}
		rounds.Add(1)
		select {
		case <-c.stop:
			return
		case <-time.After(c.pause):
		}
	}
}

// dismiss waits until all have ended their rounds, and reports what went wrong. It returns how many rounds there were.
func (c *crew) dismiss(t *testing.T) (rounds int64) {
	t.Helper()
	close(c.stop)
	c.all.Wait()
	for _, err := range c.errors {
		t.Error(err)
	}
	for i := range c.rounds {
		rounds += c.rounds[i].Load()
	}
	return rounds
}
