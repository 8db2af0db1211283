package redisconn

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// healthCheck is how often a silent subscription is checked for a broken connection. Until that is found, polls replace
// the messages.
const healthCheck = 5 * time.Second

// Listen calls handle for each message published on a channel, until ctx is done. Pub/Sub may lose messages, so Listen
// also calls poll after every (re)subscription and at each interval, to read the same facts from Redis. It calls handle
// on the caller's goroutine and poll on another one, so that a slow poll delays no message; it returns once both have
// returned. The client library reconnects and resubscribes after every failure.
func Listen(
	ctx context.Context, client redis.UniversalClient, channel string, interval time.Duration,
	handle func(payload string), poll func(context.Context),
) {
	subscription := client.Subscribe(ctx, channel)
	defer func() {
		if err := subscription.Close(); err != nil {
			slog.DebugContext(ctx, "closing subscription failed", "channel", channel, "error", err)
		}
	}()
	messages := subscription.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(healthCheck))
	subscribed := make(chan struct{}, 1)
	var polls sync.WaitGroup
	polls.Go(func() { pollAtIntervals(ctx, interval, subscribed, poll) })
	defer polls.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case received, open := <-messages:
			switch m := received.(type) {
			case *redis.Message:
				handle(m.Payload)
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

func pollAtIntervals(
	ctx context.Context, interval time.Duration, subscribed <-chan struct{}, poll func(context.Context),
) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-subscribed:
		case <-ticker.C:
		}
		poll(ctx)
	}
}
