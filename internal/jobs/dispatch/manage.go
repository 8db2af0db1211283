package dispatch

import (
	"context"

	"cellblock/internal/jobs"
)

// Cancel ends a job that waits, and asks for the end of one that runs: its worker
// kills it within moments. It gives the record with the state that followed.
// CodeAlreadyFinished, CodeNotFound, CodeUnavailable.
func (d *Dispatcher) Cancel(ctx context.Context, id string) (jobs.Record, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	state, err := d.store.Cancel(bounded, id)
	switch {
	case err != nil:
		return jobs.Record{ID: id}, d.explain(ctx, "the job could not be cancelled", err)
	case state == jobs.StateRunning:
		return jobs.Record{ID: id, State: state}, nil
	case state != jobs.StateCancelled:
		return jobs.Record{ID: id, State: state}, jobs.Errorf(jobs.CodeAlreadyFinished, "the job has ended already: it %s", state)
	}
	return d.read(ctx, id)
}

// List gives jobs, newest first. CodeUnavailable.
func (d *Dispatcher) List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error) {
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	page, err := d.store.List(bounded, query)
	if err != nil {
		return jobs.Page{}, d.explain(ctx, "the jobs could not be listed", err)
	}
	return page, nil
}

// Abandon withdraws a job whose client has hung up without having learnt its id, and
// reports whether it did: a job that has started goes on. It does not depend on ctx's
// end. CodeUnavailable.
func (d *Dispatcher) Abandon(ctx context.Context, id string) (withdrawn bool, err error) {
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	failure := &jobs.Failure{Code: jobs.CodeCancelled, Message: "the client hung up before the job started; it was withdrawn"}
	withdrawn, err = d.store.WithdrawUnshared(bounded, id, jobs.Outcome{Failure: failure})
	if err != nil {
		return false, unavailable("the job could not be withdrawn", err)
	}
	return withdrawn, nil
}
