package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/jobs"
)

// TestRoomForLargeBodies is bounded, and each body that goes makes some.
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
		if !m.bytes.TryAcquire(maxHeld) {
			t.Error("some of it is lost")
		}
	})
}

// TestRoomIsGivenBack once a job is stored, while its client still waits.
func TestRoomIsGivenBack(t *testing.T) {
	var h *Handler
	h = testHandler(t, scripted{execute: func(_ context.Context, request jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
		if h.room.bytes.TryAcquire(maxHeld) {
			t.Error("a large body took no room")
			h.room.bytes.Release(maxHeld)
		}
		request.Stored()
		if !h.room.bytes.TryAcquire(maxHeld) {
			t.Error("a job that is waited for takes room")
		} else {
			h.room.bytes.Release(maxHeld)
		}
		return succeeded("1"), nil
	}})
	got := post(t, serve(t, h), `{"script":"def main(): pass","stdin":"`+strings.Repeat("x", largeBody)+`"}`)
	if got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
}
