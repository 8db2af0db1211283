package stack

import (
	"os"
	"strconv"
	"time"
)

// Slow returns by which factor this machine is slower than a real one: CELLBLOCK_TEST_SLOW, for an emulated guest; 1
// by default. Time limits and timeouts are multiplied by it.
func Slow() int {
	factor, err := strconv.Atoi(os.Getenv("CELLBLOCK_TEST_SLOW"))
	if err != nil || factor < 1 {
		return 1
	}
	return factor
}

// Stretched returns d multiplied by Slow().
func Stretched(d time.Duration) time.Duration { return d * time.Duration(Slow()) }
