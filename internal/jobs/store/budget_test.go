package store_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/membudget"
)

// withBudget returns a store with a budget for a megabyte of large records, and a function that creates a job which
// ended with a result of the given size in bytes.
func withBudget(t *testing.T, bytes int) (*store.Store, *membudget.Budget, func() string) {
	t.Helper()
	s, _ := newStore(t)
	budget := membudget.New(1<<20, 200*time.Millisecond)
	s = s.WithBudget(budget)
	return s, budget, func() string {
		id := createJob(t, s).ID
		if _, err := s.End(t.Context(), id,
			jobs.Outcome{Result: jsontext.Value(`"` + strings.Repeat("x", bytes) + `"`), Stdout: "out"}); err != nil {
			t.Fatal(err)
		}
		return id
	}
}

func TestLargeRecordsAreBounded(t *testing.T) {
	t.Parallel()
	s, budget, ended := withBudget(t, 600<<10)
	id := ended()
	first, releaseFirst, err := s.ReadBudgeted(t.Context(), operator, id, time.Second)
	if err != nil || first.OutcomeBytes < store.LargeRecord || len(first.Outcome.Result) != 600<<10+2 ||
		first.Outcome.Stdout != "out" || budget.Idle() {
		t.Fatalf("got %v, %d bytes, idle %v", err, first.OutcomeBytes, budget.Idle())
	}
	var told *jobs.Error
	if second, _, err := s.ReadBudgeted(t.Context(), operator, id, time.Second); !errors.As(err, &told) ||
		told.Code != jobs.CodeUnavailable || second.Outcome != nil {
		t.Errorf("without memory: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, releaseFirst)
	second, releaseSecond, err := s.ReadBudgeted(t.Context(), operator, id, time.Second)
	if err != nil || second.OutcomeBytes < store.LargeRecord {
		t.Errorf("once there is memory: %v", err)
	}
	releaseSecond()
	releaseSecond()
	if !budget.Idle() {
		t.Error("some of it is lost")
	}
}

// A record larger than the whole budget is read alone.
func TestRecordLargerThanTheBudget(t *testing.T) {
	t.Parallel()
	s, budget, ended := withBudget(t, 2<<20)
	record, release, err := s.ReadBudgeted(t.Context(), operator, ended(), time.Second)
	if err != nil || len(record.Outcome.Result) < 2<<20 {
		t.Fatal(err)
	}
	release()
	if !budget.Idle() {
		t.Error("some of it is lost")
	}
}

func TestSmallRecordsTakeNoMemory(t *testing.T) {
	t.Parallel()
	s, budget, ended := withBudget(t, 1000)
	release, ok := budget.Acquire(t.Context(), 1<<20)
	if !ok {
		t.Fatal("there is no memory")
	}
	defer release()
	id := ended()
	record, _, err := s.ReadBudgeted(t.Context(), operator, id, time.Second)
	whole, getErr := s.Get(t.Context(), operator, id)
	if err != nil || getErr != nil || record.OutcomeBytes >= store.LargeRecord ||
		string(record.Outcome.Result) != string(whole.Outcome.Result) || record.FinishedAt != whole.FinishedAt {
		t.Errorf("got %+v, %v; want %+v, %v", record, err, whole, getErr)
	}
	queued, _, err := s.ReadBudgeted(t.Context(), operator, createJob(t, s).ID, time.Second)
	if err != nil || queued.State != jobs.StateQueued || queued.Outcome != nil {
		t.Errorf("got %+v, %v", queued, err)
	}
	if _, _, err := s.ReadBudgeted(t.Context(), operator, jobs.NewID(), time.Second); !isNotFound(err) {
		t.Errorf("got %v", err)
	}
}

// Describe works while there is no memory at all.
func TestADescriptionTakesNoMemory(t *testing.T) {
	t.Parallel()
	s, budget, _ := withBudget(t, 0)
	release, ok := budget.Acquire(t.Context(), 1<<20)
	if !ok {
		t.Fatal("there is no memory")
	}
	defer release()
	files := []jobs.OutputFile{{Name: "d/ä.csv", Size: 3, MediaType: "text/csv", SHA256: "aa", Key: "k"}}
	large := strings.Repeat("x", 1<<20)
	id := createJob(t, s).ID
	if _, err := s.End(t.Context(), id,
		jobs.Outcome{Result: jsontext.Value(`"` + large + `"`), Stdout: large, Files: files}); err != nil {
		t.Fatal(err)
	}
	record, err := s.Describe(t.Context(), operator, id, time.Second)
	if err != nil || record.State != jobs.StateSucceeded || !reflect.DeepEqual(record.Outcome.Files, files) ||
		record.Outcome.Result != nil || record.Outcome.Stdout != "" {
		t.Errorf("got %+v, %v", record, err)
	}
	whole, err := s.Get(t.Context(), operator, id)
	if err != nil || !reflect.DeepEqual(whole.Outcome.Files, files) || whole.Outcome.Stdout != large {
		t.Errorf("the whole record has %+v, %v", whole.Outcome.Files, err)
	}
	queued, err := s.Describe(t.Context(), operator, createJob(t, s).ID, time.Second)
	if err != nil || queued.State != jobs.StateQueued || queued.Outcome != nil {
		t.Errorf("got %+v, %v", queued, err)
	}
	if _, err := s.Describe(t.Context(), operator, jobs.NewID(), time.Second); jobs.CodeOf(err) != jobs.CodeNotFound {
		t.Errorf("got %v", err)
	}
}
