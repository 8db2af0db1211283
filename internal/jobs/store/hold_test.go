package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
)

// held gives a store with room for a megabyte of large records, and a job that
// ended with a result of so many bytes.
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

// One that has more than there is room for in all is given by itself.
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
	if _, err := s.Hold(t.Context(), jobs.NewID(), time.Second); !jobs.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
}
