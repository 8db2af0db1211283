package redisconn

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"
)

// Listen passes on what is published on a channel, until ctx ends. Pub/Sub may
// lose messages, so it also calls look after every (re)subscription and at each
// interval, for what messages would have said. Both are called from one
// goroutine, the caller's. The client library connects and subscribes again by
// itself after every failure.
func Listen(ctx context.Context, client redis.UniversalClient, channel string, interval time.Duration, message func(payload string), look func(context.Context)) {
	subscription := client.Subscribe(ctx, channel)
	defer func() {
		if err := subscription.Close(); err != nil {
			slog.DebugContext(ctx, "closing the subscription", "channel", channel, "error", err)
		}
	}()
	messages := subscription.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(interval))
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			look(ctx)
		case received, open := <-messages:
			switch m := received.(type) {
			case *redis.Message:
				message(m.Payload)
			case *redis.Subscription:
				look(ctx) // what was published before it is lost
			}
			if !open {
				messages = nil // only once the client is closed
			}
		}
	}
}
