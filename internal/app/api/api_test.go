package api

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cellblock/internal/audit"
	"cellblock/internal/httpapi"
	"cellblock/internal/jobs"
	"cellblock/internal/jobs/dispatch"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redisconn"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is the API, run in the test's process on a free port.
type running struct {
	url   string
	stop  context.CancelFunc
	ended chan error
	lines chan string
	// logged has all lines that were written, once it has ended.
	logged []string
}

func start(t *testing.T, redisURL string, change func(*Settings)) *running {
	t.Helper()
	s := Settings{
		HTTP:  httpapi.Settings{Addr: "127.0.0.1:0", ShutdownTimeout: 5 * time.Second},
		Redis: redisconn.Settings{URL: redisURL},
		Store: store.Settings{ResultTTL: time.Hour, SyncResultTTL: time.Hour},
		Dispatch: dispatch.Settings{
			SyncWait: 15 * time.Second, NoWorkerGrace: 200 * time.Millisecond,
			StartDeadline: time.Hour, QueueLimit: 1000,
		},
		Audit: audit.Settings{File: "off"},
		MaxLimits: jobs.MaxLimits{
			Wall: 15 * time.Second, CPU: 10 * time.Second, MemoryMB: 700, Processes: 64,
			OutputKB: 1024,
		},
	}
	if change != nil {
		change(&s)
	}
	ctx, stop := context.WithCancel(t.Context())
	read, write := io.Pipe()
	r := &running{stop: stop, ended: make(chan error, 1), lines: make(chan string, 1000)}
	go func() {
		for scanner := bufio.NewScanner(read); scanner.Scan(); {
			r.logged = append(r.logged, scanner.Text())
			r.lines <- scanner.Text()
		}
		close(r.lines)
	}()
	go func() {
		r.ended <- Run(ctx, s, slog.New(slog.NewJSONHandler(write, nil)))
		_ = write.Close()
	}()
	var line struct{ Addr string }
	if err := json.Unmarshal([]byte(r.await(t, `"listening"`)), &line); err != nil || line.Addr == "" {
		t.Fatalf("no address: %v", err)
	}
	r.url = "http://" + line.Addr
	return r
}

// await reads the log up to a line that contains text.
func (r *running) await(t *testing.T, text string) string {
	t.Helper()
	timeout := time.After(5 * time.Second)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				t.Fatalf("ended before it logged %q", text)
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			t.Fatalf("did not log %q", text)
		}
	}
}

// end stops the API and returns the result of run.
func (r *running) end(t *testing.T) error {
	t.Helper()
	r.stop()
	return r.wait(t)
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(8 * time.Second):
		t.Fatal("did not end")
		return nil
	}
}

func (r *running) do(t *testing.T, method, path, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 8 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(read)
}

func (r *running) want(t *testing.T, method, path, body string, status int, part string) string {
	t.Helper()
	got, answer := r.do(t, method, path, body)
	if got != status || !strings.Contains(answer, part) {
		t.Errorf("%s %s: %d %s, want %d %s", method, path, got, answer, status, part)
	}
	return answer
}

func TestWithoutWorkers(t *testing.T) {
	r := start(t, redistest.Start(t), nil)
	r.want(t, "GET", "/healthz", "", 200, `{"status":"ok"}`)
	r.want(t, "GET", "/readyz", "", 200, `{"status":"ready","workers":0}`)
	accepted := r.want(t, "POST", "/execute", `{"script":"def main(): pass","async":true}`, 202, `"status":"queued"`)
	var job struct {
		ID string `json:"job_id"`
	}
	if err := json.Unmarshal([]byte(accepted), &job); err != nil {
		t.Fatal(err)
	}
	r.want(t, "GET", "/jobs/"+job.ID, "", 200, `"status":"queued"`)
	r.want(t, "GET", "/jobs/01981f3e-7c1a-7000-8000-000000000001", "", 404, `"code":"not_found"`)
	r.want(t, "GET", "/metrics", "", 200, "\ncellblock_queue_depth{environment=\"default\"} 1\n")
	r.want(t, "POST", "/execute", `{"script":"def main(): pass"}`, 503, `"code":"unavailable"`)
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

// TestShutdownAnswersWaitingRequests stops the API while a request waits for a job.
func TestShutdownAnswersWaitingRequests(t *testing.T) {
	url := redistest.Start(t)
	r := start(t, url, func(s *Settings) { s.Dispatch.NoWorkerGrace = time.Minute })
	answered := make(chan string, 1)
	go func() {
		status, answer := r.do(t, "POST", "/execute", `{"script":"def main(): pass"}`)
		if status != 202 {
			t.Errorf("status %d", status)
		}
		answered <- answer
	}()
	// The token is the last write of a job's submission; only this test pops it.
	if err := redistest.Client(t, url).BLPop(t.Context(), 5*time.Second, "cellblock:wake").Err(); err != nil {
		t.Fatal(err)
	}
	r.want(t, "GET", "/readyz", "", 200, "") // by now the API has read Redis's response
	began := time.Now()
	if err := r.end(t); err != nil {
		t.Error(err)
	}
	if answer := <-answered; !strings.Contains(answer, `"status":"queued"`) {
		t.Error(answer)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
}

// TestMetricsAddressHasProfiles reads metrics and a profile without the API's token.
func TestMetricsAddressHasProfiles(t *testing.T) {
	r := start(t, redistest.Start(t), func(s *Settings) { s.HTTP.Token, s.MetricsAddr = "secret", "127.0.0.1:0" })
	r.want(t, "GET", "/debug/pprof/heap", "", 401, `"code":"unauthorized"`)
	var line struct{ Addr string }
	if err := json.Unmarshal([]byte(r.await(t, `"serving metrics"`)), &line); err != nil {
		t.Fatal(err)
	}
	r.url = "http://" + line.Addr
	r.want(t, "GET", "/metrics", "", 200, "\ncellblock_queue_depth{environment=\"default\"} 0\n")
	r.want(t, "GET", "/debug/pprof/goroutine?debug=1", "", 200, "internal/app/api.")
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

// TestRedisComesLater starts the API before Redis.
func TestRedisComesLater(t *testing.T) {
	server := redistest.StartServer(t)
	server.Kill()
	r := start(t, server.URL(), nil)
	r.await(t, "Redis unreachable")
	r.want(t, "GET", "/healthz", "", 200, `"ok"`)
	r.want(t, "GET", "/readyz", "", 503, `"code":"unavailable"`)
	r.want(t, "POST", "/execute", `{"script":""}`, 503, `"code":"unavailable"`)
	r.want(t, "POST", "/execute", `{"script":"","async":true}`, 503, `"code":"unavailable"`)
	r.want(t, "GET", "/metrics", "", 200, "\ncellblock_redis_up 0\n")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	r.await(t, "connected to Redis")
	r.want(t, "GET", "/readyz", "", 200, `"ready"`)
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

func TestTakenAddressIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := Settings{HTTP: httpapi.Settings{Addr: listener.Addr().String()}}
	if err := Run(t.Context(), s, slog.New(slog.DiscardHandler)); err == nil ||
		!strings.Contains(err.Error(), "API_ADDR "+s.HTTP.Addr+" is taken: ") ||
		!strings.Contains(err.Error(), "set API_ADDR to another address") {
		t.Errorf("got %v", err)
	}
}
