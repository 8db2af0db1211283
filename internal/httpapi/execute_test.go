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
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

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
	const slow = 300 * time.Millisecond
	var wait time.Duration
	url := serve(t, newHandler(t, stubJobs{execute: func(_ context.Context, _ jobs.Request, _ string, w time.Duration) (jobs.Record, error) {
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
	wantResponse(t, do(t, request), 200, "")
	if most := 15*time.Second - slow + 50*time.Millisecond; wait > most {
		t.Errorf("wait %v, want at most %v", wait, most)
	}
}

func TestClientGoneEndsTheWait(t *testing.T) {
	waiting, ended := make(chan struct{}), make(chan struct{})
	url := serve(t, newHandler(t, stubJobs{execute: func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
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

// TestHalfClosedIsNotAnswered200: a client that closes its sending side counts as gone, and must not take an empty
// response for a success.
func TestHalfClosedIsNotAnswered200(t *testing.T) {
	url := serve(t, newHandler(t, stubJobs{execute: func(ctx context.Context, _ jobs.Request, _ string, _ time.Duration) (jobs.Record, error) {
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

func TestAcceptedSaysWhere(t *testing.T) {
	url := serve(t, newHandler(t, stubJobs{}))
	got := post(t, url, `{"script":"","async":true}`)
	if got.body != `{"job_id":"`+jobID+`","status":"queued"}`+"\n" || got.header.Get("Location") != "/jobs/"+jobID || got.header.Get("Retry-After") != "1" {
		t.Errorf("%v %s", got.header, got.body)
	}
}

// A client that hangs up without a key and without a webhook cannot learn about its job.
func TestAHangUpAbandonsTheJobOfAClientThatCannotFindIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, key string
		withdrawn bool // what Abandon reports
		abandoned bool
		metric    string
	}{
		"waiting":        {body: `{"script":""}`, withdrawn: true, abandoned: true, metric: `cellblock_hangups_total{job="withdrawn"} 1`},
		"started":        {body: `{"script":""}`, abandoned: true, metric: `cellblock_hangups_total{job="kept"} 1`},
		"with a key":     {body: `{"script":""}`, key: "k", metric: `cellblock_hangups_total{job="kept"} 1`},
		"with a webhook": {body: `{"script":"","callback_url":"https://a.example/"}`, metric: `cellblock_hangups_total{job="kept"} 1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
			url := serve(t, h)
			ctx, hangUp := context.WithCancel(t.Context())
			go func() { <-waiting; hangUp() }()
			request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/execute", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			if c.key != "" {
				request.Header.Set("Idempotency-Key", c.key)
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			response, err := client.Do(request)
			if err == nil {
				_ = response.Body.Close()
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, %v", response, err)
			}
			for deadline := time.Now().Add(10 * time.Second); !strings.Contains(scrape(h), c.metric); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s is not in the metrics", c.metric)
				}
			}
			if got := len(abandoned) == 1; got != c.abandoned || got && <-abandoned != jobID {
				t.Errorf("abandoned: %v, want %v", got, c.abandoned)
			}
		})
	}
}

func scrape(h *Handler) string {
	w := httptest.NewRecorder()
	h.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// A large result that there is no memory for can be read later.
func TestAResultWithoutRoomIsReadLater(t *testing.T) {
	t.Parallel()
	exhausted := &jobs.Error{Code: jobs.CodeUnavailable, Message: "x", Cause: membudget.ErrExhausted}
	s := executing(jobs.Record{ID: jobID, State: jobs.StateSucceeded}, exhausted)
	got := send(t, http.MethodPost, serve(t, newHandler(t, s))+"/execute", `{"script":"def main(): pass"}`, "Content-Type", "application/json")
	if got.status != http.StatusAccepted || got.header.Get("Location") != "/jobs/"+jobID {
		t.Errorf("got %+v", got)
	}
}

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

func (h headerOnly) Header() http.Header { return h.header }

func (headerOnly) Write(p []byte) (int, error) { return len(p), nil }

func (headerOnly) WriteHeader(int) {}
