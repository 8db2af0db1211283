package redisparts

import "testing"

func TestSlotsOfTags(t *testing.T) {
	t.Parallel()
	// The example of the specification of clusters.
	if got := slotOf("123456789"); got != 0x31C3 {
		t.Errorf("the slot of the example is %#x", got)
	}
	seen := map[string]bool{}
	for n := 1; n <= 64; n++ {
		for i, tag := range tags(n) {
			if want := (2*i + 1) * slots / (2 * n); slotOf(tag) != want {
				t.Errorf("part %d of %d is in slot %d, want %d", i, n, slotOf(tag), want)
			}
			if seen[tag] || tag == homeTag {
				t.Errorf("part %d of %d has the tag %s of another one", i, n, tag)
			}
			seen[tag] = true
		}
	}
}

func TestIDsAreSpreadEvenly(t *testing.T) {
	t.Parallel()
	const n, ids = 12, 12_000
	counts := make([]int, n)
	for i := range ids {
		counts[indexOf(string(rune('a'+i%26))+string(rune(i)), n)]++
	}
	for part, count := range counts {
		if count < ids/n*8/10 || count > ids/n*12/10 {
			t.Errorf("part %d has %d of %d", part, count, ids)
		}
	}
}
