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
)

// held returns a store with room for a megabyte of large records, and a function that creates a job which ended with a
// result of the given size in bytes.
func held(t *testing.T, bytes int) (*store.Store, *jobs.Room, func() string) {
	t.Helper()
	s, _ := open(t)
	room := jobs.NewRoom(1<<20, 200*time.Millisecond)
	s = s.WithRoom(room)
	return s, room, func() string {
		id := create(t, s).ID
		if _, err := s.End(t.Context(), id, jobs.Outcome{Result: jsontext.Value(`"` + strings.Repeat("x", bytes) + `"`), Stdout: "out"}); err != nil {
			t.Fatal(err)
		}
		return id
	}
}

func TestLargeRecordsAreBounded(t *testing.T) {
	s, room, ended := held(t, 600<<10)
	id := ended()
	first, err := s.Hold(t.Context(), id, time.Second)
	if err != nil || !first.Large() || len(first.Outcome.Result) != 600<<10+2 || first.Outcome.Stdout != "out" || room.Free() {
		t.Fatalf("got %v, large %v, free %v", err, first.Large(), room.Free())
	}
	var told *jobs.Error
	if second, err := s.Hold(t.Context(), id, time.Second); !errors.As(err, &told) || told.Code != jobs.CodeUnavailable || second.Outcome != nil {
		t.Errorf("without room: %v", err)
	}
	time.AfterFunc(50*time.Millisecond, first.Release)
	second, err := s.Hold(t.Context(), id, time.Second)
	if err != nil || !second.Large() {
		t.Errorf("once there is room: %v", err)
	}
	second.Release()
	second.Release()
	if !room.Free() {
		t.Error("some of it is lost")
	}
}

// A record larger than the whole room is read alone.
func TestARecordThatIsLargerThanTheRoom(t *testing.T) {
	s, room, ended := held(t, 2<<20)
	record, err := s.Hold(t.Context(), ended(), time.Second)
	if err != nil || len(record.Outcome.Result) < 2<<20 {
		t.Fatal(err)
	}
	record.Release()
	if !room.Free() {
		t.Error("some of it is lost")
	}
}

func TestSmallRecordsTakeNoRoom(t *testing.T) {
	s, room, ended := held(t, 1000)
	release, ok := room.Take(t.Context(), 1<<20)
	if !ok {
		t.Fatal("there is no room")
	}
	defer release()
	id := ended()
	record, err := s.Hold(t.Context(), id, time.Second)
	whole, getErr := s.Get(t.Context(), id)
	if err != nil || getErr != nil || record.Large() || string(record.Outcome.Result) != string(whole.Outcome.Result) || record.FinishedAt != whole.FinishedAt {
		t.Errorf("got %+v, %v; want %+v, %v", record, err, whole, getErr)
	}
	queued, err := s.Hold(t.Context(), create(t, s).ID, time.Second)
	if err != nil || queued.State != jobs.StateQueued || queued.Outcome != nil {
		t.Errorf("got %+v, %v", queued, err)
	}
	if _, err := s.Hold(t.Context(), jobs.NewID(), time.Second); jobs.CodeOf(err) != jobs.CodeNotFound {
		t.Errorf("got %v", err)
	}
}

// Describe works while there is no room at all.
func TestADescriptionTakesNoRoom(t *testing.T) {
	t.Parallel()
	s, room, _ := held(t, 0)
	release, ok := room.Take(t.Context(), 1<<20)
	if !ok {
		t.Fatal("there is no room")
	}
	defer release()
	files := []jobs.OutputFile{{Name: "d/ä.csv", Size: 3, MediaType: "text/csv", SHA256: "aa", Key: "k"}}
	large := strings.Repeat("x", 1<<20)
	id := create(t, s).ID
	if _, err := s.End(t.Context(), id, jobs.Outcome{Result: jsontext.Value(`"` + large + `"`), Stdout: large, Files: files}); err != nil {
		t.Fatal(err)
	}
	record, err := s.Describe(t.Context(), id, time.Second)
	if err != nil || record.Large() || record.State != jobs.StateSucceeded || !reflect.DeepEqual(record.Outcome.Files, files) ||
		record.Outcome.Result != nil || record.Outcome.Stdout != "" {
		t.Errorf("got %+v, %v", record, err)
	}
	whole, err := s.Get(t.Context(), id)
	if err != nil || !reflect.DeepEqual(whole.Outcome.Files, files) || whole.Outcome.Stdout != large {
		t.Errorf("the whole record has %+v, %v", whole.Outcome.Files, err)
	}
	queued, err := s.Describe(t.Context(), create(t, s).ID, time.Second)
	if err != nil || queued.State != jobs.StateQueued || queued.Outcome != nil {
		t.Errorf("got %+v, %v", queued, err)
	}
	if _, err := s.Describe(t.Context(), jobs.NewID(), time.Second); jobs.CodeOf(err) != jobs.CodeNotFound {
		t.Errorf("got %v", err)
	}
}
