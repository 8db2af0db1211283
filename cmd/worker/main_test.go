package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the worker if the binary is called worker.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "worker" {
		main()
	}
	goleak.VerifyTestMain(m)
}

// A port in use is found before Redis is contacted and sandboxes are created: both would fail here.
func TestATakenMetricsPortIsFoundFirst(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	worker := exec.CommandContext(t.Context(), "/proc/self/exe")
	worker.Args = []string{"worker"}
	worker.Env = append(os.Environ(), "METRICS_ADDR="+taken.Addr().String(), "REDIS_URL=redis://127.0.0.1:1",
		"SANDBOX_PYTHON=/no/such/python", "LOG_FORMAT=json")
	out, err := worker.CombinedOutput()
	if err == nil || worker.ProcessState.ExitCode() != 1 {
		t.Errorf("it ended with %v", err)
	}
	said := strings.TrimSpace(string(out))
	want := `"error":"METRICS_ADDR ` + taken.Addr().String() + ` is taken: another program, ` +
		`perhaps another Cellblock, listens there; end it, or set METRICS_ADDR to another address"}`
	if !strings.HasSuffix(said, want) || strings.Count(said, "\n") > 0 {
		t.Errorf("it said\n%s\nwant one line that ends with\n%s", said, want)
	}
}
