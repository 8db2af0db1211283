package faults

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	cellblock "cellblock/client"
	"cellblock/test/stack"
)

// startWithProxy starts a stack with one worker next to Redis and one that connects over a network that
// the test can disturb.
func startWithProxy(t *testing.T) (*fixture, *toxiproxy.Proxy) {
	t.Helper()
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	b := startFixture(t, 1, func(c *stack.Config) { c.Redis = []string{"--port", port, "--bind", "127.0.0.1"} })
	proxy := startProxy(t, address)
	b.startWorker(t, b.withRedis("redis://"+proxy.Listen))
	return b, proxy
}

// startProxy starts a network in front of a Redis that need not be running yet.
func startProxy(t *testing.T, address string) *toxiproxy.Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", address)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

func disturb(t *testing.T, proxy *toxiproxy.Proxy, kind, attributes string) {
	t.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		toxic := fmt.Sprintf(`{"name": "%s %s", "type": %q, "stream": %q, "attributes": {%s}}`, kind, stream, kind,
			stream, attributes)
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
}

// freeAddress returns an address that is unused at this moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestNetworkCut(t *testing.T) {
	for name, pause := range map[string]time.Duration{"1s": time.Second, "12s": 12 * time.Second} {
		t.Run(name, func(t *testing.T) {
			b, proxy := startWithProxy(t)
			l := startLoad(t.Context(), b, 0.02)
			l.awaitEnded(t, 100)
			listen := proxy.Listen
			proxy.Stop()
			cut := time.Now()
			time.Sleep(pause)
			proxy.Listen = listen
			if err := proxy.Start(); err != nil {
				t.Fatal(err)
			}
			l.verify(t, b.runs, cut, mayLoseNothing)
			l.wantLossesReported(t, cut)
		})
	}
}

func TestNetworkSlow(t *testing.T) {
	b, proxy := startWithProxy(t)
	disturb(t, proxy, "latency", `"latency": 150, "jitter": 100`)
	l := startLoad(t.Context(), b, 0.02)
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}

// The API and the worker reach Redis at 1 MB a second: 16 MiB of input take 17 s each way, and the
// job is accepted, taken and run once.
func TestLargeInputsOverASlowLink(t *testing.T) {
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	proxy := startProxy(t, address)
	disturb(t, proxy, "bandwidth", `"rate": 1000`)
	b := startFixture(t, 0, func(c *stack.Config) {
		c.Redis = []string{"--port", port, "--bind", "127.0.0.1"}
		c.API["REDIS_URL"] = "redis://" + proxy.Listen
	})
	b.startWorker(t, b.withRedis("redis://"+proxy.Listen))
	c, err := cellblock.New(b.URL, cellblock.WithToken(operatorToken))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	job, err := c.Submit(t.Context(), cellblock.Request{
		Script: "import os\ndef main():\n    open('/runs', 'a').write('1\\n')\n    return os.path.getsize('data')",
		Files:  []cellblock.File{{Path: "data", Content: make([]byte, 16<<20)}},
	})
	if err != nil {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
	t.Logf("accepted after %s", time.Since(start))
	ended, err := c.Wait(t.Context(), job.JobID)
	if err != nil || string(ended.Result) != "16777216" {
		t.Fatalf("after %s: %s, %v", time.Since(start), ended.Result, err)
	}
	t.Logf("ended after %s", time.Since(start))
	if runs, err := os.ReadFile(b.runs); err != nil || string(runs) != "1\n" {
		t.Errorf("it ran %q, %v", runs, err)
	}
}
