package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cellblock/internal/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type gauges struct {
	depth, workers int
	err            error
}

func (g gauges) QueueDepth(context.Context) (int, error) { return g.depth, nil }
func (g gauges) Workers(context.Context) (int, error)    { return g.workers, g.err }

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
	m := NewAPIMetrics(gauges{depth: 3, workers: 2}, slog.New(slog.DiscardHandler))
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
	)
}

func TestScrapeWithoutRedisStillAnswers(t *testing.T) {
	var log bytes.Buffer
	m := NewAPIMetrics(gauges{depth: 3, err: errors.New("Redis is away")}, slog.New(slog.NewTextHandler(&log, nil)))
	m.ObserveRequest("/execute", "POST", 200, time.Millisecond)
	metrics := scrape(t, m.Handler())
	wantLines(t, metrics, `cellblock_queue_depth 3`,
		`cellblock_http_requests_total{code="200",method="POST",route="/execute"} 1`)
	if strings.Contains(metrics, "\ncellblock_workers ") || !strings.Contains(log.String(), "Redis is away") {
		t.Errorf("log: %s", log.String())
	}
}

func TestWorkerMetrics(t *testing.T) {
	m := NewWorkerMetrics()
	m.SandboxKind("cold")
	usage := jobs.Usage{QueuedMS: 0.2, PrepareMS: 21, RunMS: 1200}
	m.JobStarted()
	m.JobStarted()
	m.JobEnded(jobs.Outcome{Usage: usage})
	m.JobEnded(jobs.Outcome{Failure: &jobs.Failure{Code: jobs.CodeTimeout}, Usage: usage})
	m.JobStarted()
	wantLines(t, scrape(t, m.Handler()),
		`cellblock_jobs_total{outcome="succeeded"} 1`,
		`cellblock_jobs_total{outcome="timeout"} 1`,
		`cellblock_jobs_running 1`,
		`cellblock_sandbox_info{kind="cold"} 1`,
		`cellblock_job_phase_seconds_bucket{phase="queued",le="0.0005"} 2`,
		`cellblock_job_phase_seconds_bucket{phase="prepare",le="0.01"} 0`,
		`cellblock_job_phase_seconds_bucket{phase="prepare",le="0.025"} 2`,
		`cellblock_job_phase_seconds_count{phase="run"} 2`,
	)
}

func TestServer(t *testing.T) {
	server := serve(t, NewWorkerMetrics().Handler())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{"/healthz": `{"status":"ok"}`, "/metrics": "cellblock_jobs_running 0"} {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Addr()+path, nil)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %s", path, response.StatusCode, body)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

// Profiles can be read from this machine, without the command line, and from no other.
func TestProfilesAreForThisMachineOnly(t *testing.T) {
	server := serve(t, http.NotFoundHandler())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{
		"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/goroutine?debug=1": 200,
		"/debug/pprof/profile?seconds=1": 200, "/debug/pprof/cmdline": 404,
	} {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server.Addr()+path, nil)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, response.StatusCode, want)
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	for peer, want := range map[string]int{
		"127.0.0.1:4000": 200, "[::1]:4000": 200, "[::ffff:127.0.0.1]:4000": 200,
		"192.0.2.1:4000": 403, "[2001:db8::1]:4000": 403, "[::ffff:192.0.2.1]:4000": 403, "": 403,
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/debug/pprof/heap", nil)
		request.RemoteAddr = peer
		response := httptest.NewRecorder()
		pprofHandler().ServeHTTP(response, request)
		if response.Code != want {
			t.Errorf("from %q: %d, want %d", peer, response.Code, want)
		}
	}
}

// serve returns a server on a free port; the test closes it.
func serve(t *testing.T, metrics http.Handler) *Server {
	t.Helper()
	server, err := Listen(t.Context(), "METRICS_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.Serve(metrics, slog.New(slog.DiscardHandler))
	return server
}

func TestServerOff(t *testing.T) {
	off, err := Listen(t.Context(), "METRICS_ADDR", "")
	off.Serve(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil || off.Addr() != "" || off.Close() != nil {
		t.Errorf("off: %v, %v", off, err)
	}
}

// Close also works between Listen and Serve, for a program that fails there.
func TestServerThatNeverServes(t *testing.T) {
	first, err := Listen(t.Context(), "METRICS_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), "METRICS_ADDR", first.Addr()); err == nil ||
		!strings.Contains(err.Error(), "set METRICS_ADDR to another address") {
		t.Errorf("two servers on one address: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	second, err := Listen(t.Context(), "METRICS_ADDR", first.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestLoggerFormats(t *testing.T) {
	for format, isJSON := range map[string]bool{"auto": true, "json": true, "text": false} {
		path := filepath.Join(t.TempDir(), "log")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		logger := Settings{LogLevel: slog.LevelInfo, LogFormat: format}.Logger(file)
		logger.Debug("not this")
		logger.LogAttrs(t.Context(), slog.LevelInfo, "this", Milliseconds("ms", 1234567*time.Nanosecond))
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		log, _ := os.ReadFile(path)
		if json.Valid(log) != isJSON || strings.Contains(string(log), "not this") ||
			strings.Contains(string(log), "\x1b") {
			t.Errorf("%s: %s", format, log)
		}
		if want := map[bool]string{
			true:  `"ms":1.235`,
			false: "ms=1.235",
		}[isJSON]; !strings.Contains(string(log), want) {
			t.Errorf("%s: no %s in %s", format, want, log)
		}
	}
}

func TestProbe(t *testing.T) {
	server := serve(t, http.NotFoundHandler())
	_, port, _ := net.SplitHostPort(server.Addr())
	if err := Probe(t.Context(), ":"+port, "/healthz"); err != nil {
		t.Errorf("well, and told: %v", err)
	}
	if err := Probe(t.Context(), "0.0.0.0:"+port, "/metrics"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("not well, and told: %v", err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Probe(t.Context(), "127.0.0.1:"+port, "/healthz"); err == nil {
		t.Error("gone, and told to be well")
	}
}
