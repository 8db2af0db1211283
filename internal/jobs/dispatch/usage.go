package dispatch

import (
	"context"

	"cellblock/internal/jobs"
)

// Usage returns what jobs have used on the days of the query: those of the caller's tenant, or for an administrator
// those of all tenants, or of the tenant that the query names. It returns a *jobs.Error with CodeNotFound for a tenant
// that the caller does not see, with CodeInvalidRequest for a range that is too long, or with CodeUnavailable.
func (d *Dispatcher) Usage(ctx context.Context, query jobs.UsageQuery) (jobs.UsageReport, error) {
	caller := jobs.CallerOf(ctx)
	switch {
	case query.Tenant == "" && !caller.May(jobs.ScopeAdmin):
		query.Tenant = caller.Tenant
		fallthrough
	case query.Tenant != "":
		if !caller.Sees(query.Tenant) {
			return jobs.UsageReport{}, jobs.Errorf(jobs.CodeNotFound,
				"there is no such tenant, or the key may not read its usage")
		}
	}
	bounded, cancel := context.WithTimeout(ctx, d.settings.Patience)
	defer cancel()
	report, err := d.store.Usage(bounded, query)
	if err != nil {
		return jobs.UsageReport{}, explain(ctx, "the usage could not be read", err)
	}
	return report, nil
}
