package telemetry

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// ProbeSettings are for health checks of containers whose images have no curl.
type ProbeSettings struct {
	Probe bool `name:"probe" help:"Ask the running program, with the same settings, whether it is well, and leave with 0 or 1: for health checks."`
}

// probeBound is how long an answer may take: less than the 3 s of a container's
// health check.
const probeBound = 2500 * time.Millisecond

// ProbeOnce is what a program called name does when asked to probe: it gives the
// exit code, and says on standard error why it is 1.
func ProbeOnce(name, addr, path string) int {
	if err := Probe(context.Background(), addr, path); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Probe asks the server that listens on addr (host:port) for path. The error
// says why it is not well: no answer, or another status than 200.
func Probe(ctx context.Context, addr, path string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, probeBound)
	defer cancel()
	url := "http://" + net.JoinHostPort(host, port) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return nil
}
