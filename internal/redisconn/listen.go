package redisconn

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Listen calls message for each message published on a channel, until ctx is done. Pub/Sub may lose
// messages, so Listen also calls look after every (re)subscription and at each interval, to read
// the same facts from Redis. It calls message on the caller's goroutine and look on another one, so
// that a slow look delays no message; it returns once both have returned. The client library
// reconnects and resubscribes after every failure.
func Listen(
	ctx context.Context, client redis.UniversalClient, channel string, interval time.Duration,
	message func(payload string), look func(context.Context),
) {
	subscription := client.Subscribe(ctx, channel)
	defer func() {
		if err := subscription.Close(); err != nil {
			slog.DebugContext(ctx, "closing the subscription", "channel", channel, "error", err)
		}
	}()
	messages := subscription.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(interval))
	subscribed := make(chan struct{}, 1)
	var looks sync.WaitGroup
	looks.Go(func() { keepLooking(ctx, interval, subscribed, look) })
	defer looks.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case received, open := <-messages:
			switch m := received.(type) {
			case *redis.Message:
				message(m.Payload)
			case *redis.Subscription:
				select {
				case subscribed <- struct{}{}: // messages published before are lost
				default:
				}
			}
			if !open {
				messages = nil // only once the client is closed
			}
		}
	}
}

func keepLooking(ctx context.Context, interval time.Duration, subscribed <-chan struct{}, look func(context.Context)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-subscribed:
		case <-ticker.C:
		}
		look(ctx)
	}
}
