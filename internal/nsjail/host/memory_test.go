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

func TestStatBytes(t *testing.T) {
	t.Parallel()
	const content = "anon 5\ninactive_file 4096\ntotal_inactive_file 8192\n"
	for name, want := range map[string]int64{"inactive_file": 4096, "total_inactive_file": 8192, "absent": 0} {
		if got := statBytes([]byte(content), name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}
