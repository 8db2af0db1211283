package notify_test

import (
	"slices"
	"testing"

	"cellblock/internal/notify"
)

func TestWaiters(t *testing.T) {
	t.Parallel()
	var w notify.Waiters[int]
	a, doneA := w.Wait("key")
	b, doneB := w.Wait("key")
	other, doneOther := w.Wait("other")
	w.Notify("key", 1)
	w.Notify("key", 2)
	w.Notify("nothing", 3)
	if len(a) != 1 || len(b) != 1 || len(other) != 0 {
		t.Errorf("%d, %d and %d notifications are pending, want 1, 1 and 0", len(a), len(b), len(other))
	}
	doneA()
	if value := <-b; value != 1 {
		t.Errorf("the waiter received %d, want 1", value)
	}
	w.Notify("key", 4)
	if len(b) != 1 {
		t.Error("the remaining waiter was not notified")
	}
	doneB()
	if keys := w.Keys(); !slices.Equal(keys, []string{"other"}) {
		t.Errorf("the keys are %q", keys)
	}
	doneOther()
}
