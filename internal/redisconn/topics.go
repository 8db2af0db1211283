package redisconn

import (
	"context"
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
	receive      sync.WaitGroup
	// changes keeps what is said to Redis in the order of the changes.
	changes sync.Mutex
}

// NewTopics makes one on a client that the caller keeps, and closes after it.
// Redis need not be there yet.
func NewTopics(client redis.UniversalClient) *Topics {
	ctx, stop := context.WithCancel(context.Background())
	t := &Topics{subscription: client.Subscribe(ctx), stop: stop}
	t.receive.Go(func() { t.run(ctx) })
	return t
}

// Close ends it and waits for that. Those who wait hear nothing from then on.
func (t *Topics) Close() {
	t.stop()
	t.receive.Wait()
}

// Wait registers a wait for messages on a channel, whatever they say. heard gets a
// value for each, or one for several, and whenever the subscription was made: what
// was published before is lost, so the receiver looks. Pub/Sub may lose messages
// besides, so the receiver looks now and then as well. done ends the wait.
func (t *Topics) Wait(ctx context.Context, channel string) (heard <-chan struct{}, done func()) {
	t.changes.Lock()
	defer t.changes.Unlock()
	heard, first, forget := t.signals.Add(channel)
	if first {
		t.tell(ctx, "subscribe", t.subscription.Subscribe, channel)
	}
	return heard, func() {
		t.changes.Lock()
		defer t.changes.Unlock()
		if forget() {
			t.tell(context.WithoutCancel(ctx), "unsubscribe", t.subscription.Unsubscribe, channel)
		}
	}
}

// tell says a change to Redis. If that fails, the client library says what it then
// wants when it connects again.
func (t *Topics) tell(ctx context.Context, what string, say func(context.Context, ...string) error, channel string) {
	if err := say(ctx, channel); err != nil {
		slog.DebugContext(ctx, "changing a subscription", "change", what, "channel", channel, "error", err)
	}
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
