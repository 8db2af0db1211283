package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

type stubGauges struct {
	depth, workers int
	err            error
}

func (g stubGauges) QueueDepth(context.Context) (int, error) { return g.depth, nil }

func (g stubGauges) Workers(context.Context) (int, error) { return g.workers, g.err }

func (g stubGauges) EnvironmentWorkers(context.Context) (map[string]int, error) {
	return map[string]int{"default": g.workers, "data-science": 0}, g.err
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
	m := NewAPIMetrics(stubGauges{depth: 3, workers: 2}, slog.New(slog.DiscardHandler))
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
		`cellblock_queue_depth 3`,
		`cellblock_workers 2`,
		`cellblock_environment_workers{environment="default"} 2`,
		`cellblock_environment_workers{environment="data-science"} 0`,
	)
}

func TestScrapeWithoutRedis(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	m := NewAPIMetrics(stubGauges{depth: 3, err: errors.New("Redis is away")}, slog.New(slog.NewTextHandler(&log, nil)))
	m.ObserveRequest("/execute", "POST", 200, time.Millisecond)
	metrics := scrape(t, m.Handler())
	wantLines(t, metrics, `cellblock_queue_depth 3`,
		`cellblock_http_requests_total{code="200",method="POST",route="/execute"} 1`)
	if strings.Contains(metrics, "\ncellblock_workers ") || !strings.Contains(log.String(), "Redis is away") {
		t.Errorf("log: %s", log.String())
	}
}
