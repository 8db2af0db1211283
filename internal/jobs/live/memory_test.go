package live_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
)

// A watcher that reads the end of a large job slowly makes others wait for the end of theirs, but they lose nothing.
func TestLargeEndsAreSentInTurn(t *testing.T) {
	t.Parallel()
	b := newFixture(t)
	ids := []string{b.create(t), b.create(t)}
	slow := make(chan struct{})
	sent, reading := make(chan int, 2), make(chan struct{}, 2)
	ended := make(chan error, 2)
	for i, id := range ids {
		b.run(t, id)
		go func() {
			ctx := asOperator(t.Context())
			ended <- b.Hub.Watch(ctx, id, jobs.Position{}, time.Minute, func(events []jobs.Event) error {
				for _, event := range events {
					if event.State != "" {
						reading <- struct{}{}
					}
					if event.End != nil {
						sent <- i
						<-slow
					}
				}
				return nil
			})
		}()
	}
	for range ids {
		<-reading
	}
	for _, id := range ids {
		result := jsontext.Value(`"` + strings.Repeat("x", 800<<10) + `"`)
		if _, err := b.End(t.Context(), id, jobs.Outcome{Result: result}); err != nil {
			t.Fatal(err)
		}
	}
	first := <-sent
	select {
	case <-sent:
		t.Error("both are held at once")
	case <-time.After(500 * time.Millisecond):
	}
	close(slow)
	if second := <-sent; second == first {
		t.Error("one is sent twice")
	}
	for range ids {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for deadline := time.Now().Add(5 * time.Second); !b.budget.Idle(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("memory is not released")
		}
	}
}
