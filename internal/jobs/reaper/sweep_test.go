package reaper_test

import (
	"fmt"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// Expired jobs of many tenants, each of which has a few, are removed as fast as those of one.
func TestTheIndexesOfManyTenantsAreSwept(t *testing.T) {
	t.Parallel()
	b := newFixture(t, 0)
	const tenants = 100
	key := func(i int) string { return fmt.Sprint("cellblock:{index}:jobs:t", i) }
	for i := range tenants {
		id := b.create(t, func(j *jobs.Job) { j.Tenant = jobs.Tenant(fmt.Sprint("t", i)) })
		b.client.Del(t.Context(), "cellblock:{"+id+"}:job") // as if it had expired
		b.client.ZRem(t.Context(), "cellblock:{index}:open", fmt.Sprint(id, " t", i))
	}
	b.reap(t, b.client)
	within(t, 10*time.Second, "all indexes are empty", func() bool {
		left := int64(0)
		for i := range tenants {
			left += b.client.Exists(t.Context(), key(i)).Val()
		}
		return left == 0
	})
}
