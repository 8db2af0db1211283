package httpapi

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/jobs"
)

func TestListen(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		settings Settings
		refused  string
		warned   bool
	}{
		{Settings{Addr: "127.0.0.1:0"}, "", false},
		{Settings{Addr: "localhost:0"}, "", false},
		{Settings{Addr: "[::1]:0"}, "", false},
		{Settings{Addr: "0.0.0.0:0"}, "API_TOKEN is not set", false},
		{Settings{Addr: ":0"}, "API_TOKEN is not set", false},
		{Settings{Addr: "[::]:0"}, "API_TOKEN is not set", false},
		{Settings{Addr: "192.0.2.1:0"}, "API_TOKEN is not set", false},
		{Settings{Addr: "127.0.0.1:0", AllowAnonymous: true}, "", false},
		{Settings{Addr: "nonsense"}, "API_ADDR", false},
		{Settings{Addr: "127.0.0.1:99999"}, "API_ADDR", false},
	} {
		var log bytes.Buffer
		listener, err := tc.settings.Listen(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		if listener != nil {
			_ = listener.Close()
		}
		if (err != nil) != (tc.refused != "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
			if tc.settings.Addr == "[::1]:0" && err != nil &&
				strings.Contains(err.Error(), "assign requested address") {
				continue // this machine has no IPv6
			}
			t.Errorf("%+v: %v", tc.settings, err)
		}
		if (log.Len() > 0) != tc.warned {
			t.Errorf("%+v: log %q", tc.settings, log.String())
		}
	}
}

// TestListenWarnsWithoutAToken only resolves the address, so that no test listens beyond this machine.
func TestListenWarnsWithoutAToken(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	// No machine has 192.0.2.1 (RFC 5737), so listening fails after the check.
	if _, err := (Settings{Addr: "192.0.2.1:0", AllowAnonymous: true}).Listen(t.Context(), logger); err == nil {
		t.Fatal("listening on nobody's address")
	}
	if !strings.Contains(log.String(), "WARN") {
		t.Errorf("log %q", log.String())
	}
	log.Reset()
	_, _ = Settings{Addr: "192.0.2.1:0", Token: "t"}.Listen(t.Context(), logger)
	if log.Len() > 0 {
		t.Errorf("log %q", log.String())
	}
}

// TestBodyMustArrive withholds the body and expects an error response.
func TestBodyMustArrive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := serveInBubble(t, newHandler(t, stubJobs{}))
		body, writer := io.Pipe()
		defer func() { _ = writer.Close() }()
		go func() { _, _ = io.WriteString(writer, script[:5]) }()
		start := time.Now()
		got := doWith(t, client, newRequest(t.Context(), t, http.MethodPost, executeURL, body,
			"Content-Type", "application/json"))
		wantResponse(t, got, 400, jobs.CodeInvalidRequest)
		if took := time.Since(start); took != requestTimeout {
			t.Errorf("it took %v, want %v", took, requestTimeout)
		}
	})
}

// TestWaitOutlivesTheReadTimeout: the deadline for the body must not end the wait for the job.
func TestWaitOutlivesTheReadTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		execute := func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
			select {
			case <-ctx.Done():
				return jobs.Record{}, ctx.Err()
			case <-time.After(2 * requestTimeout):
				return succeeded(`1`), nil
			}
		}
		client := serveInBubble(t, newHandler(t, stubJobs{execute: execute}))
		got := doWith(t, client, newRequest(t.Context(), t, http.MethodPost, executeURL, strings.NewReader(script),
			"Content-Type", "application/json"))
		if decode(t, got.body)["result"] != 1.0 {
			t.Errorf("%d %q", got.status, got.body)
		}
	})
}

// TestDrain expects that waits end with a response and later requests are refused.
func TestDrain(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{}, 3)
	wait := func(ctx context.Context) error {
		waiting <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	running := jobs.Record{ID: jobID, State: jobs.StateRunning, CreatedAt: created}
	h := newHandler(t, stubJobs{
		execute: func(ctx context.Context, r jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
			if r.Script == "not accepted yet" {
				return jobs.Record{}, wait(ctx)
			}
			return jobs.Record{ID: jobID}, wait(ctx)
		},
		get: func(ctx context.Context, _ string, w time.Duration) (jobs.Record, error) {
			if w > 0 {
				return jobs.Record{}, wait(ctx)
			}
			return running, nil
		},
	})
	url := serve(t, h)
	replies := make(chan reply, 3)
	go func() { replies <- post(t, url, script) }()
	go func() { replies <- send(t, "GET", url+"/jobs/"+jobID+"?wait=20s", "") }()
	go func() { replies <- post(t, url, `{"script":"not accepted yet"}`) }()
	for range 3 {
		<-waiting
	}
	h.Drain()
	seen := map[int]string{}
	for range 3 {
		got := <-replies
		seen[got.status] = got.body
	}
	if !strings.Contains(seen[202], `"status":"running"`) || !strings.Contains(seen[200], `"status":"running"`) ||
		!strings.Contains(seen[503], "shutting down") {
		t.Errorf("responses: %v", seen)
	}
	wantResponse(t, post(t, url, script), 503, jobs.CodeUnavailable)
	wantResponse(t, post(t, url, `{"script":"","async":true}`), 503, jobs.CodeUnavailable)
	wantResponse(t, send(t, "GET", url+"/readyz", ""), 503, jobs.CodeUnavailable)
	wantResponse(t, send(t, "GET", url+"/healthz", ""), 200, "")
	wantResponse(t, send(t, "GET", url+"/jobs/"+jobID, ""), 200, "")
}

// Drain ends the wait too, but is not a hang-up: the client gets the job's current state.
func TestDrainWithdrawsNothing(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{})
	h := newHandler(t, stubJobs{
		execute: func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
			close(waiting)
			<-ctx.Done()
			return jobs.Record{ID: jobID}, ctx.Err()
		},
		abandon: func(context.Context, string) (bool, error) {
			t.Error("the job was abandoned")
			return false, nil
		},
		get: func(context.Context, string, time.Duration) (jobs.Record, error) {
			return jobs.Record{ID: jobID, State: jobs.StateQueued, CreatedAt: created}, nil
		},
	})
	url := serve(t, h)
	go func() { <-waiting; h.Drain() }()
	wantResponse(t, post(t, url, `{"script":""}`), 202, "")
}
