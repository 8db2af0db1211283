package httpapi

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/jobs"
)

// TestRoomForLargeBodies checks that memory is limited, and that each body that ends frees its
// part.
func TestRoomForLargeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newRoom()
		body := func(length int64) *http.Request { return &http.Request{ContentLength: length} }
		var releases []func()
		for range maxHeld / (16 << 20) {
			release, err := m.take(body(16<<20), jobs.MaxFormBytes)
			if err != nil {
				t.Fatal(err)
			}
			releases = append(releases, release)
		}
		if _, err := m.take(body(largeBody-1), jobs.MaxFormBytes); err != nil {
			t.Errorf("a small one is refused: %v", err)
		}
		if _, err := m.take(body(-1), jobs.MaxRequestBytes); err == nil || err.Code != jobs.CodeUnavailable {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(roomPatience/2, releases[0])
		release, err := m.take(body(-1), jobs.MaxRequestBytes)
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases, release, releases[0])
		for _, release := range releases {
			release()
		}
		if !m.Free() {
			t.Error("some of it is lost")
		}
	})
}

// TestRoomIsGivenBack checks that memory is released once a job is stored, while its client still
// waits.
func TestRoomIsGivenBack(t *testing.T) {
	var h *Handler
	h = testHandler(t, scripted{execute: func(_ context.Context, request jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
		if h.room.Free() {
			t.Error("a large body took no room")
		}
		request.Stored()
		if !h.room.Free() {
			t.Error("a job that is waited for takes room")
		}
		return succeeded("1"), nil
	}})
	got := post(t, serve(t, h), `{"script":"def main(): pass","stdin":"`+strings.Repeat("x", largeBody)+`"}`)
	if got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// TestLargeRecordsAreReleased after every kind of response.
func TestLargeRecordsAreReleased(t *testing.T) {
	var held atomic.Int32
	give := func(record jobs.Record) (jobs.Record, error) {
		held.Add(1)
		return record.Held(sync.OnceFunc(func() { held.Add(-1) })), nil
	}
	large := succeeded(`"` + strings.Repeat("x", 1<<20) + `"`)
	large.Outcome.Files = []jobs.OutputFile{{Name: "a"}}
	server := serve(t, testHandler(t, scripted{
		execute: func(context.Context, jobs.Request, string, time.Duration) (jobs.Record, error) { return give(large) },
		get:     func(context.Context, string, time.Duration) (jobs.Record, error) { return give(large) },
		cancel:  func(context.Context, string) (jobs.Record, error) { return give(large) },
	}))
	for _, ask := range []struct{ method, path string }{
		{http.MethodPost, "/execute"},
		{http.MethodGet, "/jobs/" + jobID},
		{http.MethodHead, "/jobs/" + jobID},
		{http.MethodDelete, "/jobs/" + jobID},
		{http.MethodHead, "/jobs/" + jobID + "/events"},
		{http.MethodGet, "/jobs/" + jobID + "/files/b"},
	} {
		body := ""
		if ask.method == http.MethodPost {
			body = `{"script":"def main(): pass"}`
		}
		got := send(t, ask.method, server+ask.path, body, "Content-Type", "application/json")
		if got.status >= http.StatusInternalServerError {
			t.Errorf("%s %s: %d %.200s", ask.method, ask.path, got.status, got.body)
		}
		for deadline := time.Now().Add(5 * time.Second); held.Load() != 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s %s keeps the record", ask.method, ask.path)
			}
		}
	}
}
