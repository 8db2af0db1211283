package httpapi

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

// TestConnectionsAreBounded lets a request wait on the only connection that there may be.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	waiting, goOn := make(chan struct{}), make(chan struct{})
	h := newHandlerWith(t, stubJobs{get: func(context.Context, string, time.Duration) (jobs.Record, error) {
		close(waiting)
		<-goOn
		return succeeded("1"), nil
	}}, Settings{MaxConnections: 1})
	server := httptest.NewUnstartedServer(nil)
	server.Config = h.NewServer()
	server.Listener = h.LimitConnections(server.Listener)
	server.Start()
	t.Cleanup(server.Close)
	answered := make(chan reply, 1)
	go func() { answered <- send(t, http.MethodGet, server.URL+"/jobs/"+jobID, "") }()
	<-waiting
	refused := send(t, http.MethodGet, server.URL+"/healthz", "")
	fields := decode(t, refused.body)
	if refused.status != 503 || fields["code"] != "unavailable" || refused.header.Get("Retry-After") != "1" ||
		!strings.Contains(refused.body, "repeat the request") {
		t.Errorf("%d %v %s", refused.status, refused.header, refused.body)
	}
	close(goOn)
	if got := <-answered; got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
	metrics := httptest.NewRecorder()
	h.metrics.Handler().ServeHTTP(metrics, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(metrics.Body.String(), `cellblock_refused_connections_total{bound="total"} 1`) {
		t.Error("the refusal is not counted")
	}
}

func TestRefusalsAreResponses(t *testing.T) {
	t.Parallel()
	for _, perAddress := range []bool{false, true} {
		response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(refusal(perAddress)))), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || int64(len(body)) != response.ContentLength || !response.Close ||
			decode(t, string(body))["code"] != "unavailable" {
			t.Errorf("%v %v %s", err, response.Header, body)
		}
	}
}

// A header is held before the token is checked.
func TestHeadersAreSmall(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
	if got := send(t, http.MethodGet, url+"/healthz", "", "X-Large", strings.Repeat("h", 8<<10)); got.status != 200 {
		t.Errorf("8 KiB: %d", got.status)
	}
	if got := send(t, http.MethodGet, url+"/healthz", "", "X-Large", strings.Repeat("h", 20<<10)); got.status != 431 {
		t.Errorf("20 KiB: %d", got.status)
	}
}

// TestSlowSmallBodiesMakePlace fills the memory for small bodies with requests whose bodies do not arrive.
func TestSlowSmallBodiesMakePlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, stubExecute(succeeded("1"), nil))
		h.bodies.small = membudget.New(100<<10, bodyMemoryTimeout)
		client := serveInBubble(t, h)
		withheld := strings.Repeat("#", 50<<10)
		slow := make(chan reply, 2)
		for range 2 {
			body, writer := io.Pipe()
			t.Cleanup(func() { _ = writer.Close() })
			go func() { _, _ = io.WriteString(writer, withheld[:1<<10]) }()
			request := newRequest(t.Context(), t, http.MethodPost, executeURL, body, "Content-Type", "application/json")
			request.ContentLength = int64(len(withheld))
			go func() { slow <- doWith(t, client, request) }()
		}
		synctest.Wait()
		began := time.Now()
		body := `{"script":"` + strings.Repeat("#", 30<<10) + `"}`
		got := doWith(t, client, newRequest(t.Context(), t, http.MethodPost, executeURL, strings.NewReader(body),
			"Content-Type", "application/json"))
		if got.status != 200 || time.Since(began) > 2*time.Second {
			t.Errorf("the honest client: %d after %v: %s", got.status, time.Since(began), got.body)
		}
		tooSlow := 0
		for range 2 {
			if got := <-slow; got.status == 503 && strings.Contains(got.body, "too slowly") {
				tooSlow++
			} else if got.status != 400 {
				t.Errorf("a slow client: %d %s", got.status, got.body)
			}
		}
		if tooSlow != 1 {
			t.Errorf("%d were too slow, want as many as the honest client needs", tooSlow)
		}
	})
}

func TestClientIsTheAddressThatTheProxiesName(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, tc := range []struct {
		proxies         []netip.Prefix
		peer, forwarded string
		want            string
	}{
		{nil, "192.0.2.1:1", "198.51.100.7", "192.0.2.1"},
		{proxies, "192.0.2.1:1", "198.51.100.7", "198.51.100.7"},
		{proxies, "192.0.2.1:1", "203.0.113.1, 198.51.100.7, 192.0.2.2", "198.51.100.7"},
		{proxies, "198.51.100.9:1", "203.0.113.1", "198.51.100.9"},
		{proxies, "192.0.2.1:1", "", "192.0.2.1"},
		{proxies, "192.0.2.1:1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
	} {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.RemoteAddr = tc.peer
		if tc.forwarded != "" {
			request.Header.Set("X-Forwarded-For", tc.forwarded)
		}
		var got string
		findClient(tc.proxies)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = clientOf(r)
		})).ServeHTTP(httptest.NewRecorder(), request)
		if got != tc.want {
			t.Errorf("%+v: got %s", tc, got)
		}
	}
}
