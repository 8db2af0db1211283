package host

import "testing"

func TestMeminfoBytes(t *testing.T) {
	t.Parallel()
	const content = "MemTotal:       24651284 kB\nMemAvailable:   1024 kB\nHugePages_Total:       0\n"
	if got := meminfoBytes([]byte(content), "MemAvailable:"); got != 1<<20 {
		t.Errorf("got %d", got)
	}
	if got := meminfoBytes([]byte(content), "HugePages_Total:"); got != 0 {
		t.Errorf("a number without a unit: %d", got)
	}
	if got := AvailableMemory(); got < 16<<20 {
		t.Errorf("%d bytes are available here", got)
	}
}
