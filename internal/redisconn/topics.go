package redisconn

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/signals"
)

// Topics is a subscription to a changing set of Pub/Sub channels, all on one connection. It is safe
// for concurrent use. Close must be called.
type Topics struct {
	subscription *redis.PubSub
	signals      signals.Signals
	stop         context.CancelFunc
	parts        sync.WaitGroup

	// changed gets a value when pending has changed.
	changed chan struct{}
	// mu guards pending and told, and keeps signals consistent with them. It is not held during
	// calls to Redis: if Redis hangs, one goroutine waits for it, and callers of Wait do not.
	mu sync.Mutex
	// pending are the channels that became wanted (true) or unwanted since the last update to
	// Redis; told are the channels subscribed by that update.
	pending, told map[string]bool
}

// NewTopics returns a Topics on a client that the caller owns, and closes after it. Redis need not
// be reachable yet.
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

// Close ends the subscription and blocks until it has ended, a few seconds if Redis hangs. Waits
// receive nothing from then on.
func (t *Topics) Close() {
	t.stop()
	t.parts.Wait()
}

// Wait registers a wait for messages on a channel, whatever their content; it does not block on
// Redis. heard receives a value for one or several messages, and after each subscription: messages
// published before are lost, so the receiver checks then. Pub/Sub may lose further messages, so the
// receiver also checks now and then. done ends the wait.
func (t *Topics) Wait(channel string) (heard <-chan struct{}, done func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	heard, first, forget := t.signals.Add(channel)
	if first {
		t.change(channel, true)
	}
	if t.told[channel] {
		t.signals.Notify(channel) // the subscription may exist already
	}
	return heard, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if forget() {
			t.change(channel, false)
		}
	}
}

// change records a change; the caller holds mu.
func (t *Topics) change(channel string, wanted bool) {
	t.pending[channel] = wanted
	select {
	case t.changed <- struct{}{}:
	default: // a value that is not yet received is enough
	}
}

// tellChanges subscribes and unsubscribes in Redis until ctx is done. If that fails, the client
// library restores the subscriptions when it reconnects.
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

// takeChanges returns the channels to subscribe and those to unsubscribe.
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
	defer func() { _ = t.subscription.Close() }() // an error here has no remedy
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
