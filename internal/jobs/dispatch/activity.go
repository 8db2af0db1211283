package dispatch

import (
	"context"
	"math"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// mostTenants bounds the tenants whose jobs are searched for the oldest one.
const mostTenants = 100

// Activity returns what happens now: with the jobs of the caller's tenant, or for an administrator with those of all
// tenants together, or of the tenant that is named. It returns a *jobs.Error with CodeNotFound for a tenant that the
// caller does not see, or with CodeUnavailable. The commands that it costs Redis are bounded, however many jobs wait.
func (d *Dispatcher) Activity(ctx context.Context, tenant jobs.Tenant) (jobs.Activity, error) {
	tenant, err := readableTenant(jobs.CallerOf(ctx), tenant, "activity")
	if err != nil {
		return jobs.Activity{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	activity, err := d.readActivity(bounded, tenant)
	if err != nil {
		return jobs.Activity{}, explain(ctx, "the activity could not be read", err)
	}
	return activity, nil
}

// readActivity reads the activity of a tenant; "" is all.
func (d *Dispatcher) readActivity(ctx context.Context, tenant jobs.Tenant) (jobs.Activity, error) {
	counts, err := d.store.Activity(ctx, tenant)
	activity := jobs.Activity{At: counts.At, Minutes: counts.Minutes}
	if err != nil || counts.Open == 0 {
		return activity, err
	}
	tenants := counts.Tenants[:min(len(counts.Tenants), mostTenants)]
	backlog, err := d.producer.Backlog(ctx, d.fleet.Load().names(), tenants, tenant != "", store.WaitingSinceFunction)
	if err != nil {
		return activity, err
	}
	activity.Running = backlog.Taken
	if tenant != "" {
		n, err := d.store.CountOfTenant(ctx, backlog.TakenIDs, tenant)
		if err != nil {
			return activity, err
		}
		activity.Running = share(n, len(backlog.TakenIDs), backlog.Taken)
	}
	activity.Running = min(activity.Running, counts.Open)
	activity.Queued = counts.Open - activity.Running
	if activity.Queued > 0 {
		activity.OldestWait, err = d.store.LongestWait(ctx, backlog.Oldest, tenant)
	}
	return activity, err
}

// ListWorkers returns the live workers, ordered by host and id. It returns a *jobs.Error with CodeUnavailable if Redis
// fails, or with CodeForbidden if the caller is no administrator.
func (d *Dispatcher) ListWorkers(ctx context.Context) ([]jobs.WorkerStatus, error) {
	if !jobs.CallerOf(ctx).May(jobs.ScopeAdmin) {
		return nil, jobs.Errorf(jobs.CodeForbidden, "only an administrator may list the workers")
	}
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	workers, err := d.store.ListWorkers(bounded)
	if err != nil {
		return nil, explain(ctx, "the workers could not be listed", err)
	}
	return workers, nil
}

// share returns how many of all have what n of some of them have.
func share(n, some, all int) int {
	if some == 0 || some >= all {
		return n
	}
	return int(math.Round(float64(n) * float64(all) / float64(some)))
}
