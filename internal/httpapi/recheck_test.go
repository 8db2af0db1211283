package httpapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// endingKeys has the key of stubKeys until it ends.
type endingKeys struct {
	stubKeys

	ended atomic.Bool
}

func (k *endingKeys) Verify(ctx context.Context, key string) (jobs.Caller, bool, error) {
	if k.ended.Load() {
		return jobs.Caller{}, false, nil
	}
	return k.stubKeys.Verify(ctx, key)
}

// What a key has open ends after the key has: a stream without its end, and a wait with 401.
func TestReadsEndWithTheirKey(t *testing.T) {
	t.Parallel()
	keys := &endingKeys{stubKeys: stubKeys{scopes: []jobs.Scope{jobs.ScopeRead}}}
	wait := func(ctx context.Context) error {
		keys.ended.Store(true)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Error("it goes on")
		}
		return ctx.Err()
	}
	h := newHandlerWith(t, stubJobs{
		get: func(ctx context.Context, _ string, _ time.Duration) (jobs.Record, error) {
			return jobs.Record{}, wait(ctx)
		},
	}, Settings{Token: "t"})
	h.keys, h.recheck = keys, time.Millisecond
	h.live = stubLive(func(ctx context.Context, _ jobs.Position, send func([]jobs.Event) error) error {
		if err := send(nil); err != nil {
			return err
		}
		return wait(ctx)
	})
	url := serve(t, h)
	for path, want := range map[string]struct {
		status int
		within string
	}{
		"/jobs/" + jobID + "/events":  {http.StatusOK, "still here"},
		"/jobs/" + jobID + "?wait=30": {http.StatusUnauthorized, string(jobs.CodeUnauthorized)},
	} {
		keys.ended.Store(false)
		request := newRequest(t.Context(), t, http.MethodGet, url+path, nil, "Authorization", "Bearer "+aKey)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != want.status || !strings.Contains(string(body), want.within) ||
			strings.Contains(string(body), "event: end") {
			t.Errorf("%s: %d %q, %v", path, response.StatusCode, body, err)
		}
	}
}
