package reaper

import (
	"context"
	"time"
)

// forgetIdleTenants removes the counts of tenants without open jobs, once in forgetInterval.
func (r *Reaper) forgetIdleTenants(ctx context.Context) error {
	if time.Since(r.forgotAt) < forgetInterval {
		return nil
	}
	if err := r.store.ForgetIdleTenants(ctx); err != nil {
		return err
	}
	r.forgotAt = time.Now()
	return nil
}
