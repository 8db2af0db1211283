package dispatch

import (
	"context"

	"cellblock/internal/jobs"
)

// Cancel ends a queued job and requests the end of a running one, which its worker kills within moments. It returns
// the record with the resulting state, or a *jobs.Error with CodeAlreadyFinished, CodeNotFound or CodeUnavailable. The
// caller calls release when it no longer holds the record.
func (d *Dispatcher) Cancel(ctx context.Context, id string) (record jobs.Record, release func(), err error) {
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	state, err := d.store.Cancel(bounded, jobs.CallerOf(ctx), id)
	switch {
	case err != nil:
		return jobs.Record{ID: id}, func() {}, explain(ctx, "the job could not be cancelled", err)
	case state == jobs.StateRunning:
		return jobs.Record{ID: id, State: state}, func() {}, nil
	case state != jobs.StateCancelled:
		err := jobs.Errorf(jobs.CodeAlreadyFinished, "the job has ended already: it %s", state)
		return jobs.Record{ID: id, State: state}, func() {}, err
	}
	return d.read(ctx, id)
}

// List returns a page of the jobs that the caller sees, newest first, or a *jobs.Error with CodeUnavailable.
func (d *Dispatcher) List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error) {
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	page, err := d.store.List(bounded, jobs.CallerOf(ctx), query)
	if err != nil {
		return jobs.Page{}, explain(ctx, "the jobs could not be listed", err)
	}
	return page, nil
}

// Abandon withdraws a queued job of the request that created it, whose client disconnected before it received the id,
// and reports whether it did: a started job continues. It does not stop when ctx ends. It returns a *jobs.Error with
// CodeUnavailable if Redis fails.
func (d *Dispatcher) Abandon(ctx context.Context, id string) (withdrawn bool, err error) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.settings.Patience)
	defer cancel()
	failure := &jobs.Failure{
		Code:    jobs.CodeCancelled,
		Message: "the client hung up before the job started; it was withdrawn",
	}
	withdrawn, err = d.store.WithdrawUnshared(bounded, id, jobs.Outcome{Failure: failure})
	if err != nil {
		return false, jobs.Unavailable("the job could not be withdrawn", err)
	}
	return withdrawn, nil
}
