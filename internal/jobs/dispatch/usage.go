package dispatch

import (
	"context"

	"cellblock/internal/jobs"
)

// Usage returns what jobs have used on the days of the query: those of the caller's tenant, or for an administrator
// those of all tenants, or of the tenant that the query names. It returns a *jobs.Error with CodeNotFound for a tenant
// that the caller does not see, with CodeInvalidRequest for a range that is too long, or with CodeUnavailable.
func (d *Dispatcher) Usage(ctx context.Context, query jobs.UsageQuery) (jobs.UsageReport, error) {
	var err error
	if query.Tenant, err = readableTenant(jobs.CallerOf(ctx), query.Tenant, "usage"); err != nil {
		return jobs.UsageReport{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	report, err := d.store.Usage(bounded, query)
	if err != nil {
		return jobs.UsageReport{}, explain(ctx, "the usage could not be read", err)
	}
	return report, nil
}

// readableTenant returns the tenant of which a caller reads something: the one that is asked for; without one that of
// the caller, or "", which is all tenants together, for an administrator. It returns a *jobs.Error with CodeNotFound
// for a tenant that the caller does not see.
func readableTenant(caller jobs.Caller, asked jobs.Tenant, what string) (jobs.Tenant, error) {
	tenant := asked
	if tenant == "" {
		if caller.May(jobs.ScopeAdmin) {
			return "", nil
		}
		tenant = caller.Tenant
	}
	if !caller.Sees(tenant) {
		return "", jobs.Errorf(jobs.CodeNotFound, "there is no such tenant, or the key may not read its %s", what)
	}
	return tenant, nil
}
