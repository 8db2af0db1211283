package reaper

import "context"

const (
	// usagePasses is how many passes there are from one count of the usage to the next. The drain rate is measured once
	// a second, and many jobs are counted by one script.
	usagePasses = 2
	// usageCalls bounds the scripts of one count.
	usageCalls = 100
)

// countUsage counts the usage of the jobs that have ended.
func (r *Reaper) countUsage(ctx context.Context) error {
	r.passes++
	if r.passes%usagePasses != 0 {
		return nil
	}
	counts, err := r.store.CountUsage(ctx, usageCalls)
	if len(counts) > 0 {
		r.observe(counts)
	}
	return err
}
