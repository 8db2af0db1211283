package faults

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"cellblock/test/stack"
)

// openApart starts a stack with one worker beside Redis and one that reaches it
// over a network that the test can disturb.
func openApart(t *testing.T) (*bench, *toxiproxy.Proxy) {
	t.Helper()
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, 1, func(c *stack.Config) { c.Redis = []string{"--port", port, "--bind", "127.0.0.1"} })
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", address)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	b.startWorker(t, b.through("redis://"+proxy.Listen))
	return b, proxy
}

// freeAddress is one that nobody listens on at this moment.
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
			b, proxy := openApart(t)
			l := startLoad(t.Context(), b.URL, 0.02)
			l.awaitEnded(t, 100)
			listen := proxy.Listen
			proxy.Stop()
			cut := time.Now()
			time.Sleep(pause)
			proxy.Listen = listen
			if err := proxy.Start(); err != nil {
				t.Fatal(err)
			}
			l.judge(t, b.runs, cut, losesNothing)
			l.wantKnown(t, cut)
		})
	}
}

func TestNetworkSlow(t *testing.T) {
	b, proxy := openApart(t)
	for _, stream := range []string{"upstream", "downstream"} {
		toxic := fmt.Sprintf(`{"name": %q, "type": "latency", "stream": %q, "attributes": {"latency": 150, "jitter": 100}}`, stream, stream)
		if _, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
	l := startLoad(t.Context(), b.URL, 0.02)
	l.judge(t, b.runs, time.Now(), losesNothing)
}
