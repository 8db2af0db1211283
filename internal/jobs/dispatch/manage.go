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
