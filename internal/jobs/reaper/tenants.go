package reaper

import (
	"context"
	"time"
)

// recountTenants counts the open jobs of tenants anew, once in recountInterval.
func (r *Reaper) recountTenants(ctx context.Context) error {
	if time.Since(r.recounted) < recountInterval {
		return nil
	}
	if err := r.store.RecountTenants(ctx); err != nil {
		return err
	}
	r.recounted = time.Now()
	return nil
}
