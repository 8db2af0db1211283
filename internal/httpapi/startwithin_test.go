package httpapi

import (
	"context"
	"net/http"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// A job's start deadline is the request's own or the dispatcher's, regardless of how long its
// client waits.
func TestStartWithinIsTheRequestsOwn(t *testing.T) {
	t.Parallel()
	var got time.Duration
	service := scripted{execute: func(_ context.Context, request jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
		got = request.StartWithin
		return succeeded("1"), nil
	}}
	url := serve(t, testHandler(t, service))
	for body, want := range map[string]time.Duration{
		`{"script":""}`:                        0,
		`{"script":"","start_within":0.5}`:     500 * time.Millisecond,
		`{"script":"","start_within":3600.00}`: time.Hour,
	} {
		wantAnswer(t, post(t, url, body), 200, "")
		if got != want {
			t.Errorf("%s: the start deadline is %s, want %s", body, got, want)
		}
	}
	wantAnswer(t, post(t, url, `{"script":"","start_within":3600.5}`), 400, jobs.CodeInvalidRequest)
}

func TestStartWithinInBatches(t *testing.T) {
	t.Parallel()
	batches := &scriptedBatches{}
	body := `{"script":"","start_within":3601}` + "\n" + `{"script":"","start_within":2}` + "\n"
	send(t, http.MethodPost, batching(t, batches)+"/batches", body, "Content-Type", ndjson)
	if lines := batches.request.Lines; len(lines) != 2 || lines[0].Err == nil || lines[1].Err != nil || lines[1].Request.StartWithin != 2*time.Second {
		t.Errorf("got %+v", lines)
	}
}
