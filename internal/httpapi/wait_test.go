package httpapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

func TestParsePrefer(t *testing.T) {
	for header, want := range map[string]struct {
		async   bool
		wait    int // -1 for none
		applied string
	}{
		"":                                   {false, -1, ""},
		"respond-async":                      {true, -1, "respond-async"},
		"Respond-Async; foo=bar":             {true, -1, "respond-async"},
		"respond-async=1":                    {false, -1, ""},
		"wait=0":                             {false, 0, "wait=0"},
		"wait=15":                            {false, 15, "wait=15"},
		` WAIT = "7" `:                       {false, 7, "wait=7"},
		"wait=16":                            {false, -1, ""},
		"wait=-1":                            {false, -1, ""},
		"wait=1.5":                           {false, -1, ""},
		"wait=99999999999999999999":          {false, -1, ""},
		"wait":                               {false, -1, ""},
		"wait=3, wait=4":                     {false, 3, "wait=3"},
		"respond-async, wait=5":              {true, 5, "respond-async, wait=5"},
		`foo="a, respond-async", wait=2`:     {false, 2, "wait=2"},
		`foo="a\", respond-async", wait=2`:   {false, 2, "wait=2"},
		`foo="unclosed, respond-async`:       {false, -1, ""},
		"return=minimal, handling=strict,,,": {false, -1, ""},
	} {
		p := parsePrefer(header, 15*time.Second)
		wait := -1
		if p.wait != nil {
			wait = int(p.wait.Seconds())
		}
		headers := http.Header{}
		p.setApplied(headerOnly{headers})
		if p.respondAsync != want.async || wait != want.wait || headers.Get("Preference-Applied") != want.applied {
			t.Errorf("%q: async %v, wait %d, applied %q", header, p.respondAsync, wait, headers.Get("Preference-Applied"))
		}
	}
}

type headerOnly struct{ header http.Header }

func (h headerOnly) Header() http.Header       { return h.header }
func (headerOnly) Write(p []byte) (int, error) { return len(p), nil }
func (headerOnly) WriteHeader(int)             {}

func TestParseWait(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "10": 10 * time.Second, "0": 0, "0.5": 500 * time.Millisecond, "500ms": 500 * time.Millisecond,
		"30s": maxJobWait, "31s": maxJobWait, "1h": maxJobWait, "1e300": maxJobWait, "Inf": maxJobWait,
	} {
		if got, err := parseWait(s); err != nil || got != want {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "soon", "-1", "-1s", "NaN", "10 s", "-Inf", "s"} {
		if got, err := parseWait(s); err == nil {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// TestWayOfARequest checks which requests go to Submit and which to Execute, and with what wait.
func TestWayOfARequest(t *testing.T) {
	for _, tc := range []struct {
		body    string
		prefer  []string
		applied string
		async   bool
		wait    time.Duration
	}{
		{`{"script":""}`, nil, "", false, 15 * time.Second},
		{`{"script":"","async":false}`, nil, "", false, 15 * time.Second},
		{`{"script":"","async":true}`, nil, "", true, 0},
		{`{"script":""}`, []string{"respond-async"}, "respond-async", true, 0},
		{`{"script":"","async":true}`, []string{"wait=3"}, "", true, 0},
		{`{"script":"","async":true}`, []string{"respond-async, wait=3"}, "respond-async", true, 0},
		{`{"script":""}`, []string{"wait=3"}, "wait=3", false, 3 * time.Second},
		{`{"script":""}`, []string{"wait=0"}, "wait=0", false, 0},
		{`{"script":""}`, []string{"wait=60"}, "", false, 15 * time.Second},
		{`{"script":""}`, []string{"respond-async", "wait=3"}, "respond-async, wait=3", false, 3 * time.Second},
	} {
		t.Run(tc.body+strings.Join(tc.prefer, "; "), func(t *testing.T) {
			wait, submitted := time.Duration(-1), false
			url := serve(t, testHandler(t, scripted{
				submit: func(_ context.Context, r jobs.Request, _ string) (string, error) {
					submitted = r.Async
					return jobID, nil
				},
				execute: func(_ context.Context, r jobs.Request, _ string, w time.Duration) (jobs.Record, error) {
					wait = w
					return jobs.Record{ID: jobID, State: jobs.StateRunning}, nil
				},
			}))
			var headers []string
			for _, line := range tc.prefer {
				headers = append(headers, "Prefer", line)
			}
			got := post(t, url, tc.body, headers...)
			wantAnswer(t, got, 202, "")
			if got.header.Get("Preference-Applied") != tc.applied {
				t.Errorf("applied: %q", got.header.Get("Preference-Applied"))
			}
			if submitted != tc.async || !tc.async && (wait > tc.wait || wait < tc.wait-time.Second || wait < 0) {
				t.Errorf("submitted: %v, wait: %v", submitted, wait)
			}
		})
	}
}

// TestWaitCountsFromArrival sends the body slowly.
func TestWaitCountsFromArrival(t *testing.T) {
	const slow = 300 * time.Millisecond
	var wait time.Duration
	url := serve(t, testHandler(t, scripted{execute: func(_ context.Context, _ jobs.Request, _ string, w time.Duration) (jobs.Record, error) {
		wait = w
		return succeeded(`1`), nil
	}}))
	body, send := io.Pipe()
	go func() {
		_, _ = io.WriteString(send, script[:5])
		time.Sleep(slow) // elapsed time is what the test is about
		_, _ = io.WriteString(send, script[5:])
		_ = send.Close()
	}()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/execute", body)
	request.Header.Set("Content-Type", "application/json")
	wantAnswer(t, do(t, request), 200, "")
	if most := 15*time.Second - slow + 50*time.Millisecond; wait > most {
		t.Errorf("wait %v, want at most %v", wait, most)
	}
}

// TestBodyMustArrive withholds the body and expects an error response.
func TestBodyMustArrive(t *testing.T) {
	server := testHandler(t, scripted{}).NewServer()
	server.ReadTimeout = 100 * time.Millisecond
	body, send := io.Pipe()
	defer func() { _ = send.Close() }()
	go func() { _, _ = io.WriteString(send, script[:5]) }()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, serveWith(t, server)+"/execute", body)
	request.Header.Set("Content-Type", "application/json")
	wantAnswer(t, do(t, request), 400, jobs.CodeInvalidRequest)
}

// TestWaitOutlivesTheReadTimeout: the deadline for the body must not end the wait for the job.
func TestWaitOutlivesTheReadTimeout(t *testing.T) {
	h := testHandler(t, scripted{execute: func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
		select {
		case <-ctx.Done():
			return jobs.Record{}, ctx.Err()
		case <-time.After(300 * time.Millisecond):
			return succeeded(`1`), nil
		}
	}})
	server := h.NewServer()
	server.ReadTimeout = 100 * time.Millisecond
	if got := post(t, serveWith(t, server), script); decode(t, got.body)["result"] != 1.0 {
		t.Errorf("%d %q", got.status, got.body)
	}
}

func TestClientGoneEndsTheWait(t *testing.T) {
	waiting, ended := make(chan struct{}), make(chan struct{})
	url := serve(t, testHandler(t, scripted{execute: func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
		close(waiting)
		<-ctx.Done()
		close(ended)
		return jobs.Record{ID: jobID}, ctx.Err()
	}}))
	ctx, cancel := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, url+"/execute", strings.NewReader(script))
	request.Header.Set("Content-Type", "application/json")
	go func() {
		<-waiting
		cancel()
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if response, err := transport.RoundTrip(request); err == nil {
		_ = response.Body.Close()
		t.Error("an answer came")
	}
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Fatal("the wait did not end")
	}
}

// TestDrain expects that waits end with a response and later requests are refused.
func TestDrain(t *testing.T) {
	waiting := make(chan struct{}, 3)
	wait := func(ctx context.Context) error {
		waiting <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	running := jobs.Record{ID: jobID, State: jobs.StateRunning, CreatedAt: created}
	h := testHandler(t, scripted{
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
	if !strings.Contains(seen[202], `"status":"running"`) || !strings.Contains(seen[200], `"status":"running"`) || !strings.Contains(seen[503], "shutting down") {
		t.Errorf("answers: %v", seen)
	}
	wantAnswer(t, post(t, url, script), 503, jobs.CodeUnavailable)
	wantAnswer(t, post(t, url, `{"script":"","async":true}`), 503, jobs.CodeUnavailable)
	wantAnswer(t, send(t, "GET", url+"/readyz", ""), 503, jobs.CodeUnavailable)
	wantAnswer(t, send(t, "GET", url+"/healthz", ""), 200, "")
	wantAnswer(t, send(t, "GET", url+"/jobs/"+jobID, ""), 200, "")
}

// TestHalfClosedIsNotAnswered200: a client that closes its sending side counts as gone, and must
// not take an empty response for a success.
func TestHalfClosedIsNotAnswered200(t *testing.T) {
	url := serve(t, testHandler(t, scripted{execute: func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
		<-ctx.Done()
		return jobs.Record{ID: jobID}, ctx.Err()
	}}))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = fmt.Fprintf(conn, "POST /execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(script), script)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}
