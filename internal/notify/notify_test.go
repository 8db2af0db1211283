package notify_test

import (
	"slices"
	"testing"

	"cellblock/internal/notify"
)

func TestWaiters(t *testing.T) {
	t.Parallel()
	var w notify.Waiters
	a, doneA := w.Wait("key")
	b, doneB := w.Wait("key")
	other, doneOther := w.Wait("other")
	w.Notify("key")
	w.Notify("key")
	w.Notify("nothing")
	if len(a) != 1 || len(b) != 1 || len(other) != 0 {
		t.Errorf("%d, %d and %d notifications are pending, want 1, 1 and 0", len(a), len(b), len(other))
	}
	doneA()
	<-b
	w.Notify("key")
	if len(b) != 1 {
		t.Error("the remaining waiter was not notified")
	}
	doneB()
	if keys := w.Keys(); !slices.Equal(keys, []string{"other"}) {
		t.Errorf("the keys are %q", keys)
	}
	doneOther()
}
