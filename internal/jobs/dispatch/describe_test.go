package dispatch

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
	"cellblock/internal/redistest"
)

// While large results take all the memory, Describe returns at once, also at the end of a wait.
func TestADescriptionNeedsNoMemory(t *testing.T) {
	t.Parallel()
	s := newReplica(t, redistest.Start(t))
	s.startWorker(t, time.Minute, func(jobs.Job) jobs.Outcome {
		return jobs.Outcome{
			Result: jsontext.Value(`"` + strings.Repeat("x", 1<<20) + `"`),
			Files:  []jobs.OutputFile{{Name: "a"}},
		}
	})
	release, _ := s.budget.Acquire(t.Context(), 1<<20)
	defer release()
	submitted, err := s.Submit(t.Context(), jobs.Request{Script: "x", Async: true}, "r-1")
	if err != nil {
		t.Fatal(err)
	}
	record, err := s.Describe(t.Context(), submitted.ID, 10*time.Second)
	if err != nil || record.State != jobs.StateSucceeded || len(record.Outcome.Files) != 1 ||
		record.Outcome.Result != nil {
		t.Errorf("got %+v, %v", record, err)
	}
	if _, err := s.Get(t.Context(), submitted.ID, 0); !errors.Is(err, membudget.ErrExhausted) {
		t.Errorf("got %v", err)
	}
}
