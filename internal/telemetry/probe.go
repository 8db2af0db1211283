package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"cellblock/internal/listen"
)

// ProbeSettings select a health check instead of the program, for container images without curl.
type ProbeSettings struct {
	Probe bool `name:"probe" help:"Check the health of the running program with the same settings, and exit with 0 or 1."`
}

// probeTimeout is below the 3 s of a container's health check.
const probeTimeout = 2500 * time.Millisecond

// RunProbe runs a probe of the program called name and returns the exit status, 0 or 1. If that is 1, it prints the
// reason to standard error.
func RunProbe(name, addr, path string) int {
	if err := Probe(context.Background(), addr, path); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Probe requests path from the server on addr (host:port); from this machine if addr has no host. It returns an error
// unless the status is 200.
func Probe(ctx context.Context, addr, path string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	url := listen.URL(addr) + path
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
