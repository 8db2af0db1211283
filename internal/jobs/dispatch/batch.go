package dispatch

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
)

const (
	// batchTimeout bounds the acceptance of a batch; the time to transfer a large batch is added.
	batchTimeout = 30 * time.Second
	// itemsAtOnce is how many jobs of batches are accepted or cancelled concurrently. One after the other, a
	// thousand take longer than batchTimeout if Redis is 10 ms away; all at once would leave no connections for single
	// jobs.
	itemsAtOnce = 8
	// batchShare is the divisor of the queue limit for batches: they may fill half of the queue.
	batchShare = 2
	// itemLost is the age of a batch from which a missing job counts as lost. It exceeds the time that accepting the
	// largest batch may take: the transfer of its 20 MiB adds 42 s to batchTimeout.
	itemLost = 90 * time.Second
)

// SubmitBatch accepts many jobs and returns their batch with its items. A job that cannot be accepted is refused
// without affecting the others. For an idempotency key that was used before, it returns the batch of that request and
// accepts the jobs that were not accepted then.
//
// It returns a *jobs.Error with CodeUnavailable if Redis cannot be reached: some jobs may have been accepted then, and
// the client can learn which only by repeating the request with its key. Further codes: CodeQueueFull,
// CodeIdempotencyMismatch.
func (d *Dispatcher) SubmitBatch(ctx context.Context, request jobs.BatchRequest, requestID string) (jobs.Batch, error) {
	tenant := jobs.CallerOf(ctx).Tenant
	if tenant == "" {
		return jobs.Batch{}, errNoCaller
	}
	received := time.Now()
	request, release, err := d.resolveItems(ctx, request)
	if err != nil {
		return jobs.Batch{}, err
	}
	defer release()
	bounded, cancel := context.WithTimeout(ctx, batchTimeout+redisconn.TransferTime(batchBytes(request)))
	defer cancel()
	id, err := d.openBatch(bounded, request)
	if err != nil {
		return jobs.Batch{}, d.refused(ctx, err)
	}
	fresh := make([]string, len(request.Items))
	for i := range fresh {
		fresh[i] = jobs.NewID()
	}
	jobIDs, err := d.store.CreateBatch(bounded, tenant, id, batchKey(tenant, request), fresh)
	if err != nil {
		return jobs.Batch{}, d.refused(ctx, err)
	}
	err = d.forEachItem(bounded, len(jobIDs), func(ctx context.Context, i int) error {
		item := jobs.BatchItem{BatchID: id, Index: i}
		request.Items[i].Request.ReceivedAt = received
		if jobIDs[i] == fresh[i] {
			return d.acceptItem(ctx, item, jobIDs[i], request.Items[i], requestID)
		}
		return d.acceptAgain(ctx, item, jobIDs[i], request.Items[i], requestID)
	})
	if err != nil {
		return jobs.Batch{}, d.refused(ctx, err)
	}
	return d.readBatch(ctx, id, true)
}

// forEachItem calls do with each number below n, a few concurrently, and waits for all calls. It returns the first
// error, which cancels the ctx of the other calls.
func (d *Dispatcher) forEachItem(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(itemsAtOnce)
	for i := range n {
		group.Go(func() error {
			// This limit is shared by all batches.
			if err := d.itemLimiter.Acquire(ctx, 1); err != nil {
				return err
			}
			defer d.itemLimiter.Release(1)
			return do(ctx, i)
		})
	}
	return group.Wait()
}

// batchKey returns the key of the idempotency record of a tenant's request, "" for none. Keys of single jobs contain no
// NUL.
func batchKey(tenant jobs.Tenant, request jobs.BatchRequest) string {
	if request.IdempotencyKey == "" {
		return ""
	}
	return store.IdempotencyKey(tenant, "batch\x00"+request.IdempotencyKey)
}

// openBatch returns the batch's id, and checks that the queue has room for the batch unless it exists already.
func (d *Dispatcher) openBatch(ctx context.Context, request jobs.BatchRequest) (string, error) {
	caller := jobs.CallerOf(ctx)
	id, key := jobs.NewID(), batchKey(caller.Tenant, request)
	if key == "" {
		return id, d.checkBatchFits(ctx, request)
	}
	claimed, err := d.store.ReserveKey(ctx, key, id, request.Fingerprint)
	if err != nil {
		return "", err
	}
	ours := claimed == id
	if !ours {
		if _, _, err := d.store.BatchProgress(ctx, caller, claimed); jobs.CodeOf(err) != jobs.CodeNotFound {
			return claimed, err
		}
	}
	// The key may be bound to a batch that was refused or has expired.
	if err = d.checkBatchFits(ctx, request); err == nil || !ours {
		return claimed, err
	}
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	return "", errors.Join(err, d.store.ReleaseKey(release, key, id))
}

// checkBatchFits returns an error with CodeQueueFull if the batch would fill the queue or Redis, or with
// CodeQuotaExceeded if it would exceed what the tenant may use.
func (d *Dispatcher) checkBatchFits(ctx context.Context, request jobs.BatchRequest) error {
	load, err := d.store.ReadLoad(ctx)
	if err != nil {
		return err
	}
	if d.pressure.Load().memory || !fits(load, max(batchBytes(request), largeInputs)) {
		return jobs.Errorf(jobs.CodeQueueFull, "the queue's memory is nearly full")
	}
	if load.Open+len(request.Items) > d.batchLimit() {
		return jobs.Errorf(jobs.CodeQueueFull,
			"the queue is full: with this batch it would be filled by more than half")
	}
	return d.checkTenantFits(ctx, load, len(request.Items))
}

// checkTenantFits returns an error with CodeQuotaExceeded if the caller's tenant may not have n more open jobs, or has
// used its processor time of the day.
func (d *Dispatcher) checkTenantFits(ctx context.Context, load store.Load, n int) error {
	caller := jobs.CallerOf(ctx)
	if caller.Tenant == jobs.Operator || caller.Tenant == "" {
		return nil
	}
	if err := d.checkCPU(ctx, caller); err != nil {
		return err
	}
	own, err := d.store.TenantOpen(ctx, caller.Tenant)
	if err != nil {
		return err
	}
	limits := store.OpenLimits{Queue: d.batchLimit(), Tenant: caller.Bounds().OpenJobs}
	// The last job of the batch is accepted if there are at least as many free places then as the tenant has jobs.
	most := (own + limits.Queue - load.Open + 1) / 2
	if limits.Tenant > 0 {
		most = min(most, limits.Tenant)
	}
	if own+n <= most {
		return nil
	}
	return jobs.TooManyOpen(own, n, most, most != limits.Tenant)
}

func batchBytes(request jobs.BatchRequest) int {
	size := 0
	for _, item := range request.Items {
		size += len(item.Request.Script) + item.Request.Inputs.Size()
	}
	return size
}

func (d *Dispatcher) batchLimit() int { return max(1, d.settings.QueueLimit/batchShare) }

// GetBatch returns a batch once it has ended or wait has passed; with a wait of 0 it returns immediately. It returns
// ctx's error if ctx ends first, or a *jobs.Error with CodeNotFound or CodeUnavailable.
func (d *Dispatcher) GetBatch(ctx context.Context, id string, wait time.Duration) (jobs.Batch, error) {
	if wait > 0 {
		waiting, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		err := d.watchBatch(waiting, id)
		if err == nil {
			notified, done := d.channel.Wait(store.BatchKey(id))
			defer done()
			err = d.awaitEnded(waiting, notified, id, jobs.MaxBatch)
		}
		switch {
		case ctx.Err() != nil:
			return jobs.Batch{ID: id}, ctx.Err()
		case err != nil && waiting.Err() == nil:
			return jobs.Batch{ID: id}, err
		}
	}
	return d.readBatch(ctx, id, false)
}

// watchBatch makes the ends of a batch's items be published to this replica. It returns a *jobs.Error with CodeNotFound
// or CodeUnavailable.
func (d *Dispatcher) watchBatch(ctx context.Context, id string) error {
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	if err := d.store.WatchBatch(bounded, jobs.CallerOf(ctx), id, d.channel.Name); err != nil {
		return explain(ctx, "the batch could not be read", err)
	}
	return nil
}

// awaitEnded waits until at least n items of a batch, or all, have ended. notified receives when an item ends.
func (d *Dispatcher) awaitEnded(ctx context.Context, notified <-chan struct{}, id string, n int) error {
	ticker := time.NewTicker(recheckInterval)
	defer ticker.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
		ended, all, err := d.store.BatchProgress(bounded, jobs.CallerOf(ctx), id)
		cancel()
		if err != nil {
			return explain(ctx, "the batch could not be read", err)
		}
		if ended >= n || all {
			return nil
		}
		select {
		case <-notified:
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// CancelBatch cancels the jobs of a batch that have not ended, and returns the batch. It returns a *jobs.Error with
// CodeNotFound or CodeUnavailable.
func (d *Dispatcher) CancelBatch(ctx context.Context, id string) (jobs.Batch, error) {
	bounded, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	caller := jobs.CallerOf(ctx)
	record, err := d.store.Batch(bounded, caller, id)
	if err != nil {
		return jobs.Batch{ID: id}, explain(ctx, "the batch could not be read", err)
	}
	open := record.Open()
	err = d.forEachItem(bounded, len(open), func(ctx context.Context, i int) error {
		_, err := d.store.Cancel(ctx, caller, record.JobIDs[open[i]])
		if jobs.CodeOf(err) == jobs.CodeNotFound {
			return nil
		}
		return err
	})
	if err != nil {
		return jobs.Batch{ID: id}, explain(ctx, "a job of the batch could not be cancelled", err)
	}
	return d.readBatch(ctx, id, false)
}

// readBatch returns a batch in its current state, with its items if requested.
func (d *Dispatcher) readBatch(ctx context.Context, id string, items bool) (jobs.Batch, error) {
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	record, err := d.store.Batch(bounded, jobs.CallerOf(ctx), id)
	if err == nil {
		err = d.countOpen(bounded, &record)
	}
	if err != nil {
		return jobs.Batch{ID: id}, explain(ctx, "the batch could not be read", err)
	}
	if items {
		for index, jobID := range record.JobIDs {
			item := jobs.AcceptedItem{JobID: jobID, Err: record.Refused[index]}
			if item.Err != nil {
				item.JobID = ""
			}
			record.Items = append(record.Items, item)
		}
	}
	return record.Batch, nil
}

// countOpen counts the jobs that have not ended. A job missing because the server died while it accepted the batch is
// recorded as refused.
func (d *Dispatcher) countOpen(ctx context.Context, record *store.BatchRecord) error {
	open := record.Open()
	ids := make([]string, len(open))
	for i, index := range open {
		ids[i] = record.JobIDs[index]
	}
	states, err := d.store.States(ctx, ids)
	if err != nil {
		return err
	}
	for i, index := range open {
		state, there := states[ids[i]]
		if !there && record.Age > itemLost {
			why := jobs.Errorf(jobs.CodeUnavailable,
				"nothing is known of the job: the server stopped before it was queued, or its record was lost")
			if err := d.store.RefuseItem(ctx, jobs.BatchItem{BatchID: record.ID, Index: index}, why); err != nil {
				return err
			}
			record.Counts.Refused++
			continue
		}
		if !there || state.Ended() {
			state = jobs.StateQueued // being enqueued, or ended and about to be recorded in the batch
		}
		record.Counts.Count(state, 1)
	}
	return nil
}
