package zygote

import (
	"testing"

	"cellblock/internal/nsjail/host"
)

// There are enough user ids for MaxReady ready sandboxes and the jobs beside them.
func TestUIDsSufficeForMaxReady(t *testing.T) {
	t.Parallel()
	const pools = 3 // plain, loaded, on demand
	beingMade, inTeardown := pools*maxConcurrentForks, host.MaxTeardowns()+MaxReady
	if needed := (pools+1)*MaxReady + beingMade + inTeardown; needed > host.JobUIDs {
		t.Errorf("%d ready sandboxes need %d ids of %d", MaxReady, needed, host.JobUIDs)
	}
}
