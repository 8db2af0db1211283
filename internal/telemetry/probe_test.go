package telemetry

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestProbe is not parallel: another server could take its port.
func TestProbe(t *testing.T) {
	server := serve(t, http.NotFoundHandler())
	_, port, _ := net.SplitHostPort(server.Addr())
	if err := Probe(t.Context(), ":"+port, "/healthz"); err != nil {
		t.Errorf("healthy, and got %v", err)
	}
	if err := Probe(t.Context(), "0.0.0.0:"+port, "/metrics"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("not healthy, and got %v", err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Probe(t.Context(), "127.0.0.1:"+port, "/healthz"); err == nil {
		t.Error("no error without a server")
	}
}
