package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServer(t *testing.T) {
	t.Parallel()
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

// serve returns a server on a free port. The test closes it.
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
	t.Parallel()
	off, err := Listen(t.Context(), "METRICS_ADDR", "")
	off.Serve(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil || off.Addr() != "" || off.Close() != nil {
		t.Errorf("off: %v, %v", off, err)
	}
}

// Close also works between Listen and Serve, for a program that fails there. The test is not parallel: another one
// could take its port.
func TestCloseWithoutServe(t *testing.T) {
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
