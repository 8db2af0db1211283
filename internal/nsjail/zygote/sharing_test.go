package zygote

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/sandboxtest"
)

// From CPython 3.12 on, the objects of a zygote are immortal; where the kernel can, its memory is in large pages then.
func TestZygotesShareTheirMemory(t *testing.T) {
	t.Parallel()
	warm := openWarm(t, 1, func(s *settings) { s.Zygote.Preload, s.Zygote.PreloadOnDemand = nil, nil })
	type look struct {
		Immortal, Expected bool
	}
	seen := sandboxtest.Value[look](t, warm, `
import json, sys
def main():
    return {"Immortal": sys.getrefcount(json) > 1 << 30, "Expected": sys.version_info >= (3, 12)}
`)
	if seen.Immortal != seen.Expected {
		t.Errorf("immortal: %v, want %v", seen.Immortal, seen.Expected)
	}
	var name unix.Utsname
	var major, minor int
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Sscanf(unix.ByteSliceToString(name.Release[:]), "%d.%d", &major, &minor)
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", warm.plain.current.pid.Load()))
	if err != nil {
		t.Fatal(err)
	}
	large := 0
	for line := range strings.Lines(string(rollup)) {
		_, _ = fmt.Sscanf(line, "AnonHugePages: %d kB", &large)
	}
	if able := major > 6 || major == 6 && minor >= 1; seen.Immortal && able && large == 0 {
		t.Error("no large pages")
	}
}
