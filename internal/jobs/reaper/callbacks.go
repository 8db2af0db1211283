package reaper

import (
	"context"
	"time"
)

// callbackInterval is how often a callback is looked at that lies in the queue
// and that nobody takes.
const callbackInterval = 10 * time.Second

// callbackBatch is how many callbacks are looked at in one pass, one after the
// other.
const callbackBatch = 50

// lookAtCallbacks queues those callbacks again that nobody has had in hand in
// time: the API replica that sent one has died, or the queue has lost it.
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
