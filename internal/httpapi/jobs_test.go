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
	"cellblock/internal/membudget"
)

// TestIDsInCapitals: a UUID in capitals is the same UUID (RFC 9562, 4).
func TestIDsInCapitals(t *testing.T) {
	t.Parallel()
	seen := ""
	service := stubGet(succeeded(`1`), nil)
	get := service.get
	service.get = func(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
		seen = id
		return get(ctx, id, wait)
	}
	url := serve(t, newHandler(t, service))
	got := send(t, http.MethodGet, url+"/jobs/"+strings.ToUpper(jobID), "")
	if got.status != http.StatusOK || seen != jobID {
		t.Errorf("%d, and Get got %s", got.status, seen)
	}
	seen = ""
	_ = send(t, http.MethodGet, url+"/jobs/"+strings.ToUpper(jobID)+"/files/a.csv", "")
	if seen != jobID {
		t.Errorf("for a file, Describe got %q", seen)
	}
}

// TestLargeRecordsAreReleased after every kind of response.
func TestLargeRecordsAreReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var held atomic.Int32
		acquire := func() (release func()) {
			held.Add(1)
			return sync.OnceFunc(func() { held.Add(-1) })
		}
		large := succeeded(`"` + strings.Repeat("x", 1<<20) + `"`)
		large.Outcome.Files = []jobs.OutputFile{{Name: "a"}}
		stub := stubExecute(large, nil)
		stub.get, stub.cancel, stub.acquire = stubGet(large, nil).get, stubCancel(large, nil).cancel, acquire
		client := serveInBubble(t, newHandler(t, stub))
		for _, c := range []struct{ method, path string }{
			{http.MethodPost, "/execute"},
			{http.MethodGet, "/jobs/" + jobID},
			{http.MethodHead, "/jobs/" + jobID},
			{http.MethodDelete, "/jobs/" + jobID},
			{http.MethodHead, "/jobs/" + jobID + "/events"},
			{http.MethodGet, "/jobs/" + jobID + "/files/b"},
		} {
			body := ""
			if c.method == http.MethodPost {
				body = `{"script":"def main(): pass"}`
			}
			request := newRequest(t.Context(), t, c.method, bubbleURL+c.path, strings.NewReader(body),
				"Content-Type", "application/json")
			got := doWith(t, client, request)
			if got.status >= http.StatusInternalServerError {
				t.Errorf("%s %s: %d %.200s", c.method, c.path, got.status, got.body)
			}
			synctest.Wait()
			if held.Load() != 0 {
				t.Fatalf("%s %s keeps the record", c.method, c.path)
			}
		}
	})
}

// A response without the result needs no memory for it.
func TestDownloadsAndHEADNeedNoMemory(t *testing.T) {
	t.Parallel()
	h, _, _, _ := serveFiles(t)
	h.jobs = noMemoryJobs{h.jobs}
	url := serve(t, h)
	for _, c := range []struct {
		method, path, last string
		status             int
	}{
		{http.MethodGet, "/files/d/a.csv", "", http.StatusOK},
		{http.MethodHead, "/files/d/a.csv", "", http.StatusOK},
		{http.MethodHead, "", "", http.StatusOK},
		{http.MethodHead, "/events", "", http.StatusOK},
		{http.MethodGet, "/events", "3-12-0", http.StatusNoContent},
		{http.MethodGet, "", "", http.StatusServiceUnavailable},
	} {
		var headers []string
		if c.last != "" {
			headers = []string{"Last-Event-ID", c.last}
		}
		if got := send(t, c.method, url+"/jobs/"+jobID+c.path, "", headers...); got.status != c.status {
			t.Errorf("%+v: got %d %s", c, got.status, got.body)
		}
	}
}

// noMemoryJobs is a Jobs without memory for a large result.
type noMemoryJobs struct{ Jobs }

func (noMemoryJobs) Get(context.Context, string, time.Duration) (jobs.Record, func(), error) {
	return jobs.Record{}, func() {}, jobs.Unavailable("x", membudget.ErrExhausted)
}
