package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

// TestSyncOrAsync checks which requests go to Submit and which to Execute, and with what wait.
func TestSyncOrAsync(t *testing.T) {
	t.Parallel()
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
			url := serve(t, newHandler(t, stubJobs{
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
			wantResponse(t, got, 202, "")
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
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const delay = 3 * time.Second
		var wait time.Duration
		execute := func(_ context.Context, _ jobs.Request, _ string, w time.Duration) (jobs.Record, error) {
			wait = w
			return succeeded(`1`), nil
		}
		client := serveInBubble(t, newHandler(t, stubJobs{execute: execute}))
		body, writer := io.Pipe()
		go func() {
			_, _ = io.WriteString(writer, script[:5])
			time.Sleep(delay)
			_, _ = io.WriteString(writer, script[5:])
			_ = writer.Close()
		}()
		request := newRequest(t.Context(), t, http.MethodPost, executeURL, body, "Content-Type", "application/json")
		wantResponse(t, doWith(t, client, request), 200, "")
		if want := 15*time.Second - delay; wait != want {
			t.Errorf("wait %v, want %v", wait, want)
		}
	})
}

func TestDisconnectEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		waiting, ended := make(chan struct{}), make(chan struct{})
		execute := func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
			close(waiting)
			<-ctx.Done()
			close(ended)
			return jobs.Record{ID: jobID}, ctx.Err()
		}
		client := serveInBubble(t, newHandler(t, stubJobs{execute: execute}))
		ctx, disconnect := context.WithCancel(t.Context())
		go func() { <-waiting; disconnect() }()
		request := newRequest(ctx, t, http.MethodPost, executeURL, strings.NewReader(script),
			"Content-Type", "application/json")
		if response, err := client.Do(request); err == nil {
			_ = response.Body.Close()
			t.Error("there was a response")
		}
		<-ended
	})
}

// TestHalfClosedConnectionGetsNo200: a client that closes its sending side counts as gone, and must not take an empty
// response for a success.
func TestHalfClosedConnectionGetsNo200(t *testing.T) {
	t.Parallel()
	execute := func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
		<-ctx.Done()
		return jobs.Record{ID: jobID}, ctx.Err()
	}
	url := serve(t, newHandler(t, stubJobs{execute: execute}))
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = fmt.Fprintf(conn, "POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(script), script)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAcceptedHasALocation(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
	got := post(t, url, `{"script":"","async":true}`)
	if got.body != `{"job_id":"`+jobID+`","status":"queued"}`+"\n" || got.header.Get("Location") != "/jobs/"+jobID ||
		got.header.Get("Retry-After") != "1" {
		t.Errorf("%v %s", got.header, got.body)
	}
}

// A client that hangs up without a key and without a webhook cannot learn about its job.
func TestHangUpWithdrawsAJobThatItsClientCannotFind(t *testing.T) {
	t.Parallel()
	const withdrawn, kept = `cellblock_hangups_total{job="withdrawn"} 1`, `cellblock_hangups_total{job="kept"} 1`
	for name, c := range map[string]struct {
		body, key string
		withdrawn bool // what Abandon reports
		abandoned bool
		metric    string
	}{
		"waiting":        {body: `{"script":""}`, withdrawn: true, abandoned: true, metric: withdrawn},
		"started":        {body: `{"script":""}`, abandoned: true, metric: kept},
		"with a key":     {body: `{"script":""}`, key: "k", metric: kept},
		"with a webhook": {body: `{"script":"","callback_url":"https://a.example/"}`, metric: kept},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				waiting, abandoned := make(chan struct{}), make(chan string, 1)
				h := newHandler(t, stubJobs{
					execute: func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
						close(waiting)
						<-ctx.Done()
						return jobs.Record{ID: jobID}, ctx.Err()
					},
					abandon: func(_ context.Context, id string) (bool, error) {
						abandoned <- id
						return c.withdrawn, nil
					},
				})
				h.webhook = func(string) error { return nil }
				client := serveInBubble(t, h)
				ctx, hangUp := context.WithCancel(t.Context())
				go func() { <-waiting; hangUp() }()
				headers := []string{"Content-Type", "application/json"}
				if c.key != "" {
					headers = append(headers, "Idempotency-Key", c.key)
				}
				response, err := client.Do(newRequest(ctx, t, http.MethodPost, executeURL, strings.NewReader(c.body),
					headers...))
				if err == nil {
					_ = response.Body.Close()
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("got %v, %v", response, err)
				}
				synctest.Wait()
				if !strings.Contains(scrape(h), c.metric) {
					t.Fatalf("%s is not in the metrics", c.metric)
				}
				if got := len(abandoned) == 1; got != c.abandoned || got && <-abandoned != jobID {
					t.Errorf("abandoned: %v, want %v", got, c.abandoned)
				}
			})
		})
	}
}

func scrape(h *Handler) string {
	w := httptest.NewRecorder()
	h.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// A large result that there is no memory for can be read later.
func TestResultWithoutMemoryIsReadLater(t *testing.T) {
	t.Parallel()
	exhausted := &jobs.Error{Code: jobs.CodeUnavailable, Message: "x", Cause: membudget.ErrExhausted}
	s := stubExecute(jobs.Record{ID: jobID, State: jobs.StateSucceeded}, exhausted)
	got := send(t, http.MethodPost, serve(t, newHandler(t, s))+"/execute", `{"script":"def main(): pass"}`,
		"Content-Type", "application/json")
	if got.status != http.StatusAccepted || got.header.Get("Location") != "/jobs/"+jobID {
		t.Errorf("got %+v", got)
	}
}

func TestParsePrefer(t *testing.T) {
	t.Parallel()
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
			t.Errorf("%q: async %v, wait %d, applied %q", header, p.respondAsync, wait,
				headers.Get("Preference-Applied"))
		}
	}
}

type headerOnly struct{ header http.Header }

func (h headerOnly) Header() http.Header { return h.header }

func (headerOnly) Write(p []byte) (int, error) { return len(p), nil }

func (headerOnly) WriteHeader(int) {}
