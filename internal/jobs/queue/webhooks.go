package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	// webhookQueue is asynq's name of the queue.
	webhookQueue = "webhooks"
	webhookType  = "webhook"
	// webhookForwardInterval is how often webhooks whose pause has passed are moved into the queue.
	webhookForwardInterval = 500 * time.Millisecond
	// maxRoundedDown is the most that asynq takes off the time of a retry, which it keeps in whole seconds.
	maxRoundedDown = time.Second - 1
	// webhookErrorDelay is the pause after a handler's error.
	webhookErrorDelay = 2 * time.Second
)

// EnqueueWebhook enqueues the webhook of an ended job. It does nothing if that is enqueued already.
func (p *Producer) EnqueueWebhook(ctx context.Context, id string) error {
	_, err := p.webhooks.EnqueueContext(ctx, asynq.NewTask(webhookType, []byte(id)),
		asynq.TaskID(id), asynq.Queue(webhookQueue), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue the webhook of job %s: %w", id, err)
	}
	return nil
}

// RequeueWebhook makes a lost webhook the next one of the queue, whatever the state of its task.
func (p *Producer) RequeueWebhook(ctx context.Context, id string) error {
	if _, err := requeue(ctx, p.parts.Home(), webhookQueue, id); err != nil {
		return fmt.Errorf("requeue the webhook of job %s: %w", id, err)
	}
	return p.EnqueueWebhook(ctx, id)
}

// WebhookHandler handles the webhook of one job. It returns the time after which to call it again, which may be
// exceeded by up to two seconds; 0 for never. After an error it is called again in a few seconds. The same webhook
// may be handled twice, even concurrently. The context ends after ShutdownTimeout, and another consumer then handles
// the webhook.
type WebhookHandler func(ctx context.Context, id string) (again time.Duration, err error)

// againError makes asynq deliver a webhook again.
type againError struct{ after time.Duration }

func (e *againError) Error() string { return "to be sent again" }

// NewWebhookConsumer is NewConsumer for webhooks.
func NewWebhookConsumer(
	client redis.UniversalClient, settings ConsumerSettings, handle WebhookHandler, logger *slog.Logger,
) *Consumer {
	return newConsumer(client, lane{
		queue: webhookQueue, forwardInterval: webhookForwardInterval, retryDelay: webhookDelay,
	}, settings, func(ctx context.Context, d Delivery) error {
		again, err := handle(ctx, d.ID)
		if err == nil && again > 0 {
			return &againError{after: again}
		}
		return err
	}, logger)
}

func webhookDelay(_ int, err error, _ *asynq.Task) time.Duration {
	var again *againError
	switch {
	case errors.As(err, &again):
		return again.after + maxRoundedDown
	case errors.Is(err, asynq.ErrLeaseExpired):
		return 0
	default:
		return webhookErrorDelay
	}
}
