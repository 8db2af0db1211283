package zygote

import (
	"testing"

	"cellblock/internal/nsjail/host"
)

// There are enough user ids for MaxReady ready sandboxes and the jobs beside them.
func TestUIDsSufficeForMaxReady(t *testing.T) {
	t.Parallel()
	if needed := uidsNeeded(MaxReady); needed > host.JobUIDs {
		t.Errorf("%d ready sandboxes need %d ids of %d", MaxReady, needed, host.JobUIDs)
	}
}
