package stack

import (
	"os"
	"strconv"
	"time"
)

// Slow is by how much this machine is slower than a real one: the factor in
// CELLBLOCK_TEST_SLOW, for an emulated guest; 1 elsewhere. Limits of time and
// bounds on waiting are stretched by it.
func Slow() int {
	factor, err := strconv.Atoi(os.Getenv("CELLBLOCK_TEST_SLOW"))
	if err != nil || factor < 1 {
		return 1
	}
	return factor
}

// Stretched is d on a slow machine.
func Stretched(d time.Duration) time.Duration { return d * time.Duration(Slow()) }
