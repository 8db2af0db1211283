package telemetry

import (
	"io"
	"log/slog"
	"net"
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
	server, err := Listen(t.Context(), "METRICS_ADDR", "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	server.Serve(metrics, slog.New(slog.DiscardHandler))
	return server
}

// A page that binds its name to this machine reads no metrics; Prometheus asks for them under any name elsewhere.
func TestHostsOfTheServer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address string
		allowed []string
		host    string
		want    int
	}{
		{"127.0.0.1:0", nil, "localhost:9091", 200},
		{"127.0.0.1:0", nil, "rebound.example:9091", 403},
		{"localhost:0", nil, "rebound.example:9091", 403},
		{"127.0.0.1:0", []string{"worker"}, "worker:9091", 200},
		{"127.0.0.1:0", []string{"*"}, "rebound.example:9091", 200},
		{"0.0.0.0:0", nil, "worker:9091", 200},
		{"0.0.0.0:0", []string{"worker"}, "worker:9091", 200},
		{"0.0.0.0:0", []string{"worker"}, "rebound.example:9091", 403},
		{"0.0.0.0:0", []string{"worker"}, "192.0.2.1:9091", 200},
	} {
		server, err := Listen(t.Context(), "METRICS_ADDR", c.address, c.allowed)
		if err != nil {
			t.Fatal(err)
		}
		server.Serve(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
		_, port, _ := net.SplitHostPort(server.Addr())
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+port+"/healthz", nil)
		request.Host = c.host
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != c.want || c.want == 403 && !strings.Contains(string(body), "ALLOWED_HOSTS") {
			t.Errorf("%+v: %d %s", c, response.StatusCode, body)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestServerOff(t *testing.T) {
	t.Parallel()
	off, err := Listen(t.Context(), "METRICS_ADDR", "", nil)
	off.Serve(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if err != nil || off.Addr() != "" || off.Close() != nil {
		t.Errorf("off: %v, %v", off, err)
	}
}

// Close also works between Listen and Serve, for a program that fails there. The test is not parallel: another one
// could take its port.
func TestCloseWithoutServe(t *testing.T) {
	first, err := Listen(t.Context(), "METRICS_ADDR", "127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(t.Context(), "METRICS_ADDR", first.Addr(), nil); err == nil ||
		!strings.Contains(err.Error(), "set METRICS_ADDR to another address") {
		t.Errorf("two servers on one address: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	second, err := Listen(t.Context(), "METRICS_ADDR", first.Addr(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
