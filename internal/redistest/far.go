package redistest

import (
	"context"
	"flag"
	"fmt"
	"net"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

// Far is a Server behind a proxy that can disturb the connection.
type Far struct {
	*Server

	proxy *toxiproxy.Proxy
}

// StartFar starts a server and the proxy; both end with the test.
func StartFar(t testing.TB) *Far {
	t.Helper()
	far := &Far{Server: StartServer(t)}
	address := far.ListenTCP(t)
	far.proxy = toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "redis",
		"127.0.0.1:0", address)
	if err := far.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(far.proxy.Stop)
	return far
}

// VerifyTestMain runs the tests, eight parallel ones at once unless -parallel is given, since they wait more than they
// compute. It fails if they leak goroutines, except for those that toxiproxy leaves behind.
func VerifyTestMain(m goleak.TestingM) {
	_ = flag.Set("test.parallel", "8") // fails only outside of a test binary
	const toxiproxy = "github.com/Shopify/toxiproxy/v2"
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction(toxiproxy+".(*ToxicLink).read"),
		goleak.IgnoreAnyFunction(toxiproxy+".(*ToxicLink).write"),
		goleak.IgnoreAnyFunction(toxiproxy+"/toxics.(*ToxicStub).Run"))
}

// FarURL is the proxy's URL; URL is the server's.
func (f *Far) FarURL() string { return "redis://" + f.proxy.Listen }

// Disturb adds a toxic of toxiproxy to both directions, with a type and attributes such as `"latency": 2000`.
func (f *Far) Disturb(t testing.TB, kind, attributes string) {
	t.Helper()
	for _, stream := range []string{"upstream", "downstream"} {
		toxic := fmt.Sprintf(`{"name": "%s %s", "type": %q, "stream": %q, "attributes": {%s}}`, kind, stream, kind,
			stream, attributes)
		if _, err := f.proxy.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Fatal(err)
		}
	}
}

// Calm takes away all that Disturb added.
func (f *Far) Calm(t testing.TB) {
	t.Helper()
	f.proxy.Toxics.ResetToxics(context.WithoutCancel(t.Context()))
}

// ListenTCP makes the server listen on a free TCP port too, and returns its address.
func (s *Server) ListenTCP(t testing.TB) string {
	t.Helper()
	client := Client(t, s.URL())
	ctx := context.WithoutCancel(t.Context())
	if err := client.ConfigSet(ctx, "bind", "127.0.0.1").Err(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().String()
		_ = listener.Close()
		_, port, _ := net.SplitHostPort(address)
		if err := client.ConfigSet(ctx, "port", port).Err(); err == nil {
			return address
		}
	}
	t.Fatal("redis-server found no port of its own")
	return ""
}
