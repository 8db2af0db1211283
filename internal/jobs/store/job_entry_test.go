package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// shows returns the outcome of a cell that showed text.
func shows(text string) jobs.Outcome {
	size := int64(2_000_000)
	outcome := succeeded("null")
	outcome.Displays = []jobs.Display{{Forms: []jobs.DisplayForm{
		{Type: "text/html", Text: &text},
		{Type: "image/png", File: "a.png"},
		{Type: "application/json", JSON: jsontext.Value(`{"a":3.0}`)},
		{Type: "text/plain", Text: new(string)},
	}}}
	outcome.DisplaysOmitted = []jobs.OmittedDisplay{
		{Display: 2, Type: "text/html", Bytes: &size, Limit: "display_bytes"},
	}
	return outcome
}

// The entry is decided at acceptance: it comes with the job, and stays in the record after the end.
func TestTheEntryTravelsInTheRecord(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	for _, entry := range []jobs.Entry{jobs.EntryMain, jobs.EntryScript, jobs.EntryCell} {
		job := createJob(t, s, func(j *jobs.Job) {
			j.Entry = entry
			j.Inputs = &jobs.Inputs{Args: jsontext.Value(`["a","b"]`)}
		})
		if stored := client.HExists(t.Context(), "cellblock:{"+job.ID+"}:job", "entry").Val(); stored != (entry != "") {
			t.Errorf("%q: is there a field of the record? %v", entry, stored)
		}
		taken, _, _, err := s.Take(t.Context(), job.ID, "w", time.Second)
		if err != nil || taken.Entry != entry || string(taken.Inputs.Args) != `["a","b"]` {
			t.Errorf("%q: taken as %+v, %v", entry, taken, err)
		}
		endJob(t, s, job.ID, succeeded("null"))
		if got := getRecord(t, s, job.ID).Entry; got != entry {
			t.Errorf("%q: the record has %q", entry, got)
		}
		described, err := s.Describe(t.Context(), operator, job.ID, time.Second)
		if err != nil || described.Entry != entry {
			t.Errorf("%q: described as %+v, %v", entry, described, err)
		}
	}
}

// A job must not be run in another way than it was accepted for.
func TestAnUnknownEntryIsDamage(t *testing.T) {
	t.Parallel()
	s, client := newStore(t)
	job := createJob(t, s)
	if err := client.HSet(t.Context(), "cellblock:{"+job.ID+"}:job", "entry", "notebook").Err(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.Take(t.Context(), job.ID, "w", time.Second); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("the error is %v", err)
	}
}

// Displays are kept as they are, and a large record of them counts against the budget.
func TestDisplaysAreKept(t *testing.T) {
	t.Parallel()
	s, _ := newStore(t)
	for _, text := range []string{"", "<b>é</b>\n\x00", strings.Repeat("x", jobs.MaxDisplayTextBytes)} {
		job := createJob(t, s)
		outcome := shows(text)
		endJob(t, s, job.ID, outcome)
		record := getRecord(t, s, job.ID)
		if diff := cmp.Diff(outcome, *record.Outcome); diff != "" {
			t.Errorf("%.20q: %s", text, diff)
		}
		if record.OutcomeBytes < len(text) {
			t.Errorf("%d bytes do not count the displays", record.OutcomeBytes)
		}
	}
}
