package dispatch

import (
	"context"

	"cellblock/internal/jobs"
)

// acceptItem stores and enqueues one item, or records why it was refused.
func (d *Dispatcher) acceptItem(
	ctx context.Context, item jobs.BatchItem, id string, request jobs.ItemRequest, requestID string,
) error {
	err := d.tryItem(ctx, item, id, request, requestID)
	if jobs.CodeOf(err) == "" {
		return err
	}
	return d.store.RefuseItem(ctx, item, err)
}

// acceptAgain is acceptItem for an item of a batch that an earlier request created. That request may have accepted the
// item, or be about to, though it would be refused now.
func (d *Dispatcher) acceptAgain(
	ctx context.Context, item jobs.BatchItem, id string, request jobs.ItemRequest, requestID string,
) error {
	// It may have run and its record may have expired: it must not run again.
	if ended, err := d.store.ItemEnded(ctx, item); err != nil || ended {
		return err
	}
	refused := d.tryItem(ctx, item, id, request, requestID)
	code := jobs.CodeOf(refused)
	if code == "" {
		return refused
	}
	if request.Err == nil || code == jobs.CodeFileNotFound {
		return nil // its job is there, or will be, or counts as lost: see countOpen
	}
	// What is wrong with the request itself is refused each time.
	states, err := d.store.States(ctx, []string{id})
	if _, there := states[id]; err != nil || there {
		return err
	}
	return d.store.RefuseItem(ctx, item, refused)
}

// tryItem stores and enqueues one item. It returns a *jobs.Error if the item is to be refused.
func (d *Dispatcher) tryItem(
	ctx context.Context, item jobs.BatchItem, id string, request jobs.ItemRequest, requestID string,
) error {
	if request.Err != nil {
		return request.Err
	}
	job, err := d.newJob(ctx, request.Request, requestID)
	if err != nil {
		return err
	}
	job.ID, job.BatchItem, job.ReplyTo = id, item, "" // no request waits for a single item
	_, err = d.enqueueNew(ctx, job, d.batchLimit())
	return err
}
