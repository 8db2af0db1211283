package reaper

import (
	"context"
	"time"
)

// callbackInterval is how often a callback that stays in the queue is checked.
const callbackInterval = 10 * time.Second

// callbackBatch is the maximum number of callbacks requeued in one pass, one after the other.
const callbackBatch = 50

// lookAtCallbacks requeues overdue callbacks: the API replica that was sending one has died, or the queue has lost it.
func (r *Reaper) lookAtCallbacks(ctx context.Context) error {
	due, err := r.store.DueCallbacks(ctx, callbackBatch)
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := r.producer.RequeueCallback(ctx, id); err != nil {
			return err
		}
		if err := r.store.WatchCallback(ctx, id, callbackInterval); err != nil {
			return err
		}
	}
	return nil
}
