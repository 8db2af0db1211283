package redisconn

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/signals"
)

// Topics is a subscription to Pub/Sub channels that come and go, all on one
// connection. It is safe for concurrent use. Close must be called.
type Topics struct {
	subscription *redis.PubSub
	signals      signals.Signals
	stop         context.CancelFunc
	parts        sync.WaitGroup

	// changed gets a value when there is something in pending.
	changed chan struct{}
	// mu keeps signals and these in step. It is not held while Redis is told: a
	// Redis that hangs is waited for by one goroutine, and not by those who come
	// and go.
	mu sync.Mutex
	// pending are the channels that are wanted, or not any more, and of which Redis
	// has not been told; told are those that it was last told to be wanted.
	pending, told map[string]bool
}

// NewTopics makes one on a client that the caller keeps, and closes after it.
// Redis need not be there yet.
func NewTopics(client redis.UniversalClient) *Topics {
	ctx, stop := context.WithCancel(context.Background())
	t := &Topics{
		subscription: client.Subscribe(ctx), stop: stop, changed: make(chan struct{}, 1),
		pending: map[string]bool{}, told: map[string]bool{},
	}
	t.parts.Go(func() { t.run(ctx) })
	t.parts.Go(func() { t.tellChanges(ctx) })
	return t
}

// Close ends it and waits for that, a few seconds if Redis hangs. Those who wait
// hear nothing from then on.
func (t *Topics) Close() {
	t.stop()
	t.parts.Wait()
}

// Wait registers a wait for messages on a channel, whatever they say; it does not
// wait for Redis. heard gets a value for each, or one for several, and whenever the
// subscription was made: what was published before is lost, so the receiver looks.
// Pub/Sub may lose messages besides, so the receiver looks now and then as well. done
// ends the wait.
func (t *Topics) Wait(channel string) (heard <-chan struct{}, done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	heard, first, forget := t.signals.Add(channel)
	if first {
		t.change(channel, true)
	}
	if t.told[channel] {
		t.signals.Notify(channel) // it may be made already
	}
	return heard, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if forget() {
			t.change(channel, false)
		}
	}
}

// change is called under the lock.
func (t *Topics) change(channel string, wanted bool) {
	t.pending[channel] = wanted
	select {
	case t.changed <- struct{}{}:
	default: // one that has not been looked at is enough
	}
}

// tellChanges tells Redis what is wanted, until ctx ends. If that fails, the client
// library says what it then wants when it connects again.
func (t *Topics) tellChanges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.changed:
		}
		begun, over := t.takeChanges()
		var errs []error
		if len(over) > 0 {
			errs = append(errs, t.subscription.Unsubscribe(ctx, over...))
		}
		if len(begun) > 0 {
			errs = append(errs, t.subscription.Subscribe(ctx, begun...))
		}
		if err := errors.Join(errs...); err != nil {
			slog.DebugContext(ctx, "changing subscriptions", "error", err)
		}
	}
}

// takeChanges gives the channels that are wanted now, and those that are not any more.
func (t *Topics) takeChanges() (begun, over []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for channel, wanted := range t.pending {
		switch {
		case wanted && !t.told[channel]:
			t.told[channel] = true
			begun = append(begun, channel)
		case !wanted && t.told[channel]:
			delete(t.told, channel)
			over = append(over, channel)
		}
	}
	clear(t.pending)
	return begun, over
}

func (t *Topics) run(ctx context.Context) {
	defer func() { _ = t.subscription.Close() }() // nobody can do anything about it
	messages := t.subscription.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case received, open := <-messages:
			if !open {
				<-ctx.Done() // only once the client is closed
				return
			}
			switch m := received.(type) {
			case *redis.Message:
				t.signals.Notify(m.Channel)
			case *redis.Subscription:
				t.signals.Notify(m.Channel)
			}
		}
	}
}
