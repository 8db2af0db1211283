package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// A client that hangs up without a key and without a callback cannot learn about its job.
func TestAHangUpAbandonsTheJobOfAClientThatCannotFindIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, key string
		withdrawn bool // what Abandon reports
		abandoned bool
		metric    string
	}{
		"waiting":         {body: `{"script":""}`, withdrawn: true, abandoned: true, metric: `cellblock_hangups_total{job="withdrawn"} 1`},
		"started":         {body: `{"script":""}`, abandoned: true, metric: `cellblock_hangups_total{job="kept"} 1`},
		"with a key":      {body: `{"script":""}`, key: "k", metric: `cellblock_hangups_total{job="kept"} 1`},
		"with a callback": {body: `{"script":"","callback_url":"https://a.example/"}`, metric: `cellblock_hangups_total{job="kept"} 1`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waiting, abandoned := make(chan struct{}), make(chan string, 1)
			h := testHandler(t, scripted{
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
			h.callback = func(string) *jobs.Error { return nil }
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

// Drain ends the wait too, but is not a hang-up: the client gets the job's current state.
func TestADrainAbandonsNothing(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{})
	h := testHandler(t, scripted{
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
	wantAnswer(t, post(t, url, `{"script":""}`), 202, "")
}

func scrape(h *Handler) string {
	w := httptest.NewRecorder()
	h.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}
