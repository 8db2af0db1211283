package monitoring

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"cellblock/test/stack"
)

const (
	webhookSecret = "whsec_c2VjcmV0LW9mLXRoZS1zZXJ2aWNlLTEyMzQ1Njc4OTA="
	// redisMemory is maxmemory of the service's Redis.
	redisMemory = 64 << 20
)

// service is a running service with two replicas of the API and two workers, and the Prometheus that scrapes them.
type service struct {
	*stack.Stack
	prometheus
	// token is the operator's, and key that of the tenant acme.
	token, key string
	// spoilt is the URL of a second replica, which cannot write its audit log and takes few connections.
	spoilt  string
	replica *stack.Process
	// science is the second worker, which alone has the environment stack.Handmade.
	science *stack.Process
	// receiver is the URL that takes webhooks, unless refuseWebhooks is true.
	receiver       string
	refuseWebhooks atomic.Bool
}

func startService(t *testing.T) *service {
	t.Helper()
	programs, err := stack.FindOrBuild(t.Context(), os.Getenv("MONITORING_PROGRAMS"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	environment, err := stack.OpenEnvironment(stack.Handmade)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = environment.Close() })
	s := &service{token: rand.Text()}
	api := stack.Env{
		"API_TOKEN": s.token, "API_METRICS_ADDR": "127.0.0.1:0", "AUDIT_FILE": "off", "METRICS_TENANTS": "acme",
		"CALLBACK_SECRET": webhookSecret, "CALLBACK_ALLOW": "127.0.0.0/8", "CALLBACK_ATTEMPTS": "1",
		"NO_WORKER_GRACE": "300ms",
	}
	worker := stack.Env{
		"METRICS_ADDR": "127.0.0.1:0", "PRELOAD": "", "PRELOAD_ON_DEMAND": "", "WORKER_CONCURRENCY": "2",
	}
	s.Stack, err = stack.Start(t.Context(), stack.Config{
		Programs: programs, API: api, Workers: []stack.Env{worker, with(worker, environment.Settings())},
		Redis: []string{"--maxmemory", "64mb"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		_ = s.Stop() // the test kills parts of it
	})
	s.spoilt, s.replica, err = s.StartReplica(t.Context(), with(api, stack.Env{
		"AUDIT_FILE": "/dev/full", "MAX_CONNECTIONS_PER_ADDRESS": "16",
	}))
	if err != nil {
		t.Fatal(err)
	}
	s.science = s.Workers()[1]
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if s.refuseWebhooks.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(receiver.Close)
	s.receiver = receiver.URL
	s.createKey(t)
	s.prometheus = startPrometheus(t, metricsOf(t, s.API, s.replica), metricsOf(t, s.Workers()...))
	return s
}

// with returns settings with others over them.
func with(sets ...stack.Env) stack.Env {
	all := stack.Env{}
	for _, set := range sets {
		for name, value := range set {
			all[name] = value
		}
	}
	return all
}

// metricsOf returns the addresses at which processes serve their metrics.
func metricsOf(t *testing.T, processes ...*stack.Process) (addresses []string) {
	t.Helper()
	for _, p := range processes {
		await(t, "metrics of "+p.Name, func() error {
			if address := p.Logged("serving metrics", "addr", nil); address != "" {
				addresses = append(addresses, address)
				return nil
			}
			return io.EOF
		})
	}
	return addresses
}

func (s *service) createKey(t *testing.T) {
	t.Helper()
	status, body := s.send(t.Context(), s.URL, s.token, "POST", "/admin/keys",
		map[string]any{"tenant": "acme", "scopes": []string{"run", "read"}})
	var created struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(body, &created); err != nil || created.Key == "" {
		t.Fatalf("%d %s", status, body)
	}
	s.key = created.Key
}

// send sends one request and returns the status and the body; 0 if there was no response.
func (s *service) send(
	ctx context.Context, base, token, method, path string, fields map[string]any,
) (status int, body []byte) {
	ctx, cancel := context.WithTimeout(ctx, stack.Scaled(30*time.Second))
	defer cancel()
	content, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	request, err := http.NewRequestWithContext(ctx, method, base+path, strings.NewReader(string(content)))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, body
}

// submit stores an asynchronous job, which must be accepted, and returns its id.
func (s *service) submit(t *testing.T, fields map[string]any) string {
	t.Helper()
	fields["async"] = true
	status, body := s.send(t.Context(), s.URL, s.token, "POST", "/execute", fields)
	var accepted struct {
		JobID string `json:"job_id"`
	}
	if err := json.Unmarshal(body, &accepted); err != nil || status != http.StatusAccepted {
		t.Fatalf("%d %s", status, body)
	}
	return accepted.JobID
}

// load sends jobs of all kinds, good and bad, until the test ends: none of them is the service's fault.
func (s *service) load(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		sending.Wait()
	})
	for _, kind := range []struct {
		token  string
		fields map[string]any
	}{
		{s.token, map[string]any{"script": "def main():\n    return 1"}},
		{s.key, map[string]any{"script": "def main():\n    raise ValueError(1)"}},
		{s.key, map[string]any{"script": "def main():\n    return 1", "environment": stack.Handmade}},
		{s.token, map[string]any{
			"script": "def main():\n    return 1", "async": true, "callback_url": s.receiver,
		}},
	} {
		sending.Go(func() {
			pause := time.NewTicker(50 * time.Millisecond)
			defer pause.Stop()
			for {
				s.send(ctx, s.URL, kind.token, "POST", "/execute", kind.fields)
				select {
				case <-pause.C:
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

// hangUp disconnects a client while it waits for its job.
func (s *service) hangUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	s.send(ctx, s.URL, s.token, "POST", "/execute", map[string]any{
		"script": "import time\ndef main():\n    time.sleep(1)",
	})
}

// crowd opens more connections to the second replica than an address may have.
func (s *service) crowd(ctx context.Context) {
	var dialer net.Dialer
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	for range 32 {
		if conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(s.spoilt, "http://")); err == nil {
			conns = append(conns, conn)
		}
	}
	select { // the replica counts those beyond the bound when it accepts them
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
}
