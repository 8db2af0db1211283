package redisconn

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Listen passes on what is published on a channel, until ctx ends. Pub/Sub may
// lose messages, so it also calls look after every (re)subscription and at each
// interval, for what messages would have said. message is called from the caller's
// goroutine and look from another one, so that no message waits for a look that
// Redis is slow to answer; Listen returns once both have. The client library
// connects and subscribes again by itself after every failure.
func Listen(ctx context.Context, client redis.UniversalClient, channel string, interval time.Duration, message func(payload string), look func(context.Context)) {
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
				case subscribed <- struct{}{}: // what was published before it is lost
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
