package stack

import (
	"os"
	"strconv"
	"time"
)

// InGVisor reports whether the suite runs inside gVisor. scripts/test-gvisor sets the variable.
func InGVisor() bool { return os.Getenv("CELLBLOCK_TEST_KERNEL") == "gvisor" }

// SlowFactor returns by which factor this machine is slower than a real one: CELLBLOCK_TEST_SLOW, for an emulated
// guest; 1 by default. Time limits and timeouts are multiplied by it.
func SlowFactor() int {
	factor, err := strconv.Atoi(os.Getenv("CELLBLOCK_TEST_SLOW"))
	if err != nil || factor < 1 {
		return 1
	}
	return factor
}

// Scaled returns d multiplied by Slow().
func Scaled(d time.Duration) time.Duration { return d * time.Duration(SlowFactor()) }
