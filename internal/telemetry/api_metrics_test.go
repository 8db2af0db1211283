package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/jobs"
)

// stubService returns a status, and counts the reads.
type stubService struct {
	status jobs.ServiceStatus
	err    error
	reads  atomic.Int64
}

func (s *stubService) ServiceStatus(context.Context) (jobs.ServiceStatus, error) {
	s.reads.Add(1)
	return s.status, s.err
}

func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func wantLines(t *testing.T, metrics string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
}

func TestAPIMetrics(t *testing.T) {
	t.Parallel()
	status := jobs.ServiceStatus{
		Queues: map[string]jobs.QueueStatus{
			"default": {Waiting: 3, Held: 1, Oldest: 1500 * time.Millisecond, Workers: 2}, "science": {},
		},
		Webhooks: 4, Workers: 2, Slots: 8, Busy: 5, UsedMemory: 1 << 20, MaxMemory: 1 << 30,
	}
	m := NewAPIMetrics(&stubService{status: status}, slog.New(slog.DiscardHandler))
	m.WatchBudget("results", func() BudgetUse { return BudgetUse{Total: 100, Used: 40, Waits: 2, Refusals: 1} })
	m.ObserveReaperAction("requeued", 2)
	m.SetReaping(true)
	m.ObserveEnded("acme", "timeout", 3)
	m.ObserveRequest("/execute", "POST", 200, 20*time.Millisecond)
	m.ObserveRequest("/execute", "POST", 422, 20*time.Second)
	m.ObserveWebhook("timeout", jobs.WebhookPending)
	m.ObserveWebhook("timeout", jobs.WebhookFailed)
	m.ObserveWebhook("", jobs.WebhookDelivered)
	wantLines(t, scrape(t, m.Handler()),
		`cellblock_callback_attempts_total{result="delivered"} 1`,
		`cellblock_callback_attempts_total{result="timeout"} 2`,
		`cellblock_callbacks_total{status="delivered"} 1`,
		`cellblock_callbacks_total{status="failed"} 1`,
		`cellblock_http_requests_total{code="200",method="POST",route="/execute"} 1`,
		`cellblock_http_requests_total{code="422",method="POST",route="/execute"} 1`,
		`cellblock_http_request_duration_seconds_bucket{method="POST",route="/execute",le="0.025"} 1`,
		`cellblock_http_request_duration_seconds_count{method="POST",route="/execute"} 2`,
		`cellblock_redis_up 1`,
		`cellblock_redis_memory_used_bytes 1.048576e+06`,
		`cellblock_redis_memory_max_bytes 1.073741824e+09`,
		`cellblock_queue_depth{environment="default"} 3`,
		`cellblock_queue_held{environment="default"} 1`,
		`cellblock_queue_oldest_seconds{environment="default"} 1.5`,
		`cellblock_queue_oldest_seconds{environment="science"} 0`,
		`cellblock_webhook_queue_depth 4`,
		`cellblock_workers 2`,
		`cellblock_environment_workers{environment="default"} 2`,
		`cellblock_environment_workers{environment="science"} 0`,
		`cellblock_fleet_slots 8`,
		`cellblock_fleet_slots_busy 5`,
		`cellblock_memory_budget_bytes{budget="results"} 100`,
		`cellblock_memory_budget_used_bytes{budget="results"} 40`,
		`cellblock_memory_budget_waits_total{budget="results"} 2`,
		`cellblock_memory_budget_refusals_total{budget="results"} 1`,
		`cellblock_reaper_actions_total{action="requeued"} 2`,
		`cellblock_reaper_working 1`,
		`cellblock_ended_jobs_total{outcome="timeout"} 3`,
	)
}

func TestScrapeWithoutRedis(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	service := &stubService{err: errors.New("Redis is away")}
	m := NewAPIMetrics(service, slog.New(slog.NewTextHandler(&log, nil)))
	m.ObserveRequest("/execute", "POST", 200, time.Millisecond)
	metrics := scrape(t, m.Handler())
	wantLines(t, metrics, `cellblock_redis_up 0`,
		`cellblock_http_requests_total{code="200",method="POST",route="/execute"} 1`)
	for _, missing := range []string{"cellblock_workers", "cellblock_queue_depth", "cellblock_redis_memory"} {
		if strings.Contains(metrics, "\n"+missing) {
			t.Errorf("%s is there without Redis", missing)
		}
	}
	if !strings.Contains(log.String(), "Redis is away") {
		t.Errorf("log: %s", log.String())
	}
}

// Many scrapes at once cost Redis one read a second, also while it fails.
func TestScrapesShareARead(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, errors.New("Redis is away")} {
		synctest.Test(t, func(t *testing.T) {
			service := &stubService{err: err}
			m := NewAPIMetrics(service, slog.New(slog.DiscardHandler))
			for _, want := range []int64{1, 2} {
				var scrapes sync.WaitGroup
				for range 20 {
					scrapes.Go(func() { scrape(t, m.Handler()) })
				}
				scrapes.Wait()
				if got := service.reads.Load(); got != want {
					t.Errorf("%d reads, want %d", got, want)
				}
				time.Sleep(statusAge)
			}
		})
	}
}
