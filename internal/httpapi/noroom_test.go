package httpapi

import (
	"context"
	"net/http"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// A large result that there is no memory for can be read later.
func TestAResultWithoutRoomIsReadLater(t *testing.T) {
	t.Parallel()
	noRoom := &jobs.Error{Code: jobs.CodeUnavailable, Message: "x", Cause: jobs.ErrNoRoom}
	s := executing(jobs.Record{ID: jobID, State: jobs.StateSucceeded}, noRoom)
	got := send(t, http.MethodPost, serve(t, testHandler(t, s))+"/execute", `{"script":"def main(): pass"}`, "Content-Type", "application/json")
	if got.status != http.StatusAccepted || got.header.Get("Location") != "/jobs/"+jobID {
		t.Errorf("got %+v", got)
	}
}

// A response without the result needs no memory for it.
func TestDownloadsAndHEADNeedNoRoom(t *testing.T) {
	t.Parallel()
	h, _, _, _ := leaving(t)
	h.jobs = fullJobs{h.jobs}
	url := serve(t, h)
	for _, ask := range []struct {
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
		if ask.last != "" {
			headers = []string{"Last-Event-ID", ask.last}
		}
		if got := send(t, ask.method, url+"/jobs/"+jobID+ask.path, "", headers...); got.status != ask.status {
			t.Errorf("%+v: got %d %s", ask, got.status, got.body)
		}
	}
}

// fullJobs is a Jobs without memory for a large result.
type fullJobs struct{ Jobs }

func (fullJobs) Get(context.Context, string, time.Duration) (jobs.Record, error) {
	return jobs.Record{}, &jobs.Error{Code: jobs.CodeUnavailable, Message: "x", Cause: jobs.ErrNoRoom}
}
