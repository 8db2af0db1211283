package webhook

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

// A large result is sent only once its memory is available. Until then no attempt is counted.
func TestALargeResultWaitsForMemory(t *testing.T) {
	t.Parallel()
	b := newFixture(t, nil)
	budget := membudget.New(1<<20, 50*time.Millisecond)
	b.Store = b.WithBudget(budget)
	b.Records = b.Store
	id := jobs.NewID()
	job := jobs.Job{Tenant: jobs.Operator, ID: id, WebhookURL: "http://127.0.0.2:1/"}
	if err := b.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	large := []byte(`"` + strings.Repeat("x", 256<<10) + `"`)
	if _, err := b.End(t.Context(), id, jobs.Outcome{Result: large}); err != nil {
		t.Fatal(err)
	}
	release, _ := budget.Acquire(t.Context(), 1<<20)
	if _, err := b.Send(t.Context(), id); !errors.Is(err, membudget.ErrExhausted) {
		t.Errorf("without memory: %v", err)
	}
	release()
	if webhook, _ := b.send(t, id); webhook.Attempts != 1 || !budget.Idle() {
		t.Errorf("got %+v; idle %v", webhook, budget.Idle())
	}
}
