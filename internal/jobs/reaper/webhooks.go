package reaper

import (
	"context"
	"time"
)

// webhookInterval is how often a webhook that stays in the queue is checked.
const webhookInterval = 10 * time.Second

// webhookBatch is the maximum number of webhooks requeued in one pass, one after the other.
const webhookBatch = 50

// requeueWebhooks requeues overdue webhooks: the API replica that was sending one has died, or the queue has lost it.
func (r *Reaper) requeueWebhooks(ctx context.Context) error {
	due, err := r.store.DueWebhooks(ctx, webhookBatch)
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := r.producer.RequeueWebhook(ctx, id); err != nil {
			return err
		}
		r.did(ActionWebhookRequeued, 1, nil)
		if err := r.store.WatchWebhook(ctx, id, webhookInterval); err != nil {
			return err
		}
	}
	return nil
}
