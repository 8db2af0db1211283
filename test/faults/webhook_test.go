package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cellblock/test/stack"
)

// Webhooks may go to 127.0.0.2 here, and to no other address of this machine.
const (
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	webhookHost   = "127.0.0.2"
)

func startWithWebhooks(t *testing.T, workers int) *fixture {
	t.Helper()
	return startFixture(t, workers, func(c *stack.Config) {
		maps.Copy(c.API, stack.Env{
			"CALLBACK_SECRET": webhookSecret, "CALLBACK_ALLOW": webhookHost + "/32",
			"CALLBACK_PAUSE": "100ms", "CALLBACK_TIMEOUT": "1s",
		})
	})
}

// receiver accepts webhooks once it is started, and counts them by job.
type receiver struct {
	address string
	// respond responds to a verified message; nil for 200.
	respond func(w http.ResponseWriter, r *http.Request)

	mu       sync.Mutex
	received map[string]int
	statuses map[string]string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", webhookHost+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return &receiver{address: listener.Addr().String(), received: map[string]int{}, statuses: map[string]string{}}
}

func (r *receiver) url() string { return "http://" + r.address + "/ended?token=secret" }

func (r *receiver) start(t *testing.T) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := stack.ServeWebhooks(listener, webhookSecret,
		func(w http.ResponseWriter, request *http.Request, job stack.WebhookJob, err error) {
			if err != nil {
				t.Error(err)
			}
			r.mu.Lock()
			r.received[job.JobID]++
			r.statuses[job.JobID] = job.Status
			r.mu.Unlock()
			if r.respond != nil {
				r.respond(w, request)
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	return r
}

func (r *receiver) count(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.received[id]
}

// webhookState is the webhook in a job's record.
type webhookState struct {
	Status         string `json:"status"`
	Attempts       int    `json:"attempts"`
	ResponseStatus int    `json:"response_status"`
	Error          string `json:"error"`
}

func submit(t *testing.T, b *fixture, script, webhookURL string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"script": script, "async": true, "callback_url": webhookURL})
	if err != nil {
		t.Fatal(err)
	}
	status, a := call(t.Context(), http.MethodPost, b.URL+"/execute", string(body), "")
	if status != http.StatusAccepted {
		t.Fatalf("status %d, %+v", status, a)
	}
	return a.JobID
}

// awaitWebhook polls a job until is accepts the state of its webhook.
func awaitWebhook(t *testing.T, b *fixture, id, what string, is func(webhookState) bool) webhookState {
	t.Helper()
	var job struct {
		Webhook webhookState `json:"callback"`
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if stack.DoJSON(t.Context(), client, http.MethodGet, b.URL+"/jobs/"+id, nil, "", &job) == http.StatusOK &&
			is(job.Webhook) {
			return job.Webhook
		}
	}
	t.Fatalf("the webhook of %s is not %s: %+v", id, what, job.Webhook)
	return job.Webhook
}

func delivered(c webhookState) bool { return c.Status == "delivered" }

const quick = "def main():\n    return 1\n"

func TestWebhookTargetDown(t *testing.T) {
	b, r := startWithWebhooks(t, 1), newReceiver(t)
	id := submit(t, b, quick, r.url())
	got := awaitWebhook(t, b, id, "tried", func(c webhookState) bool { return c.Attempts > 0 && c.Error != "" })
	if got.Error != "connection_refused" || got.Status != "pending" {
		t.Errorf("got %+v", got)
	}
	r.start(t)
	if got := awaitWebhook(t, b, id, "delivered", delivered); got.Attempts < 2 || r.count(id) != 1 {
		t.Errorf("got %+v, received %d times", got, r.count(id))
	}
}

func TestWebhookTargetSlow(t *testing.T) {
	b, r := startWithWebhooks(t, 1), newReceiver(t)
	var first atomic.Bool
	r.respond = func(_ http.ResponseWriter, request *http.Request) {
		if first.CompareAndSwap(false, true) {
			<-request.Context().Done() // until the sender's timeout
		}
	}
	id := submit(t, b, quick, r.start(t).url())
	awaitWebhook(t, b, id, "timed out", func(c webhookState) bool { return c.Error == "timeout" })
	// After a timeout the message may have arrived: it is sent twice, with the same webhook-id.
	if got := awaitWebhook(t, b, id, "delivered", delivered); got.Attempts != 2 || r.count(id) != 2 {
		t.Errorf("got %+v, received %d times", got, r.count(id))
	}
}

// countConnections listens on an address that nothing may connect to, and counts connections.
func countConnections(t *testing.T, host string) (address string, reached *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	reached = &atomic.Int64{}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			reached.Add(1)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		accepting.Wait()
	})
	return listener.Addr().String(), reached
}

// Redirects are not followed, even to an allowed host.
func TestWebhookRedirected(t *testing.T) {
	b, r := startWithWebhooks(t, 1), newReceiver(t)
	elsewhere, reached := countConnections(t, webhookHost)
	r.respond = func(w http.ResponseWriter, request *http.Request) {
		http.Redirect(w, request, "http://"+elsewhere+"/", http.StatusTemporaryRedirect)
	}
	id := submit(t, b, quick, r.start(t).url())
	got := awaitWebhook(t, b, id, "tried twice", func(c webhookState) bool { return c.Attempts > 1 && c.Error != "" })
	if got.Error != "redirect" || got.ResponseStatus != http.StatusTemporaryRedirect || reached.Load() != 0 {
		t.Errorf("got %+v; the target was reached %d times", got, reached.Load())
	}
}

func TestWebhookToAPrivateAddress(t *testing.T) {
	b := startWithWebhooks(t, 1)
	private, reached := countConnections(t, "127.0.0.1")
	_, port, err := net.SplitHostPort(private)
	if err != nil {
		t.Fatal(err)
	}
	id := submit(t, b, quick, "http://localhost:"+port+"/")
	got := awaitWebhook(t, b, id, "tried twice", func(c webhookState) bool { return c.Attempts > 1 && c.Error != "" })
	if got.Error != "address_not_allowed" || got.ResponseStatus != 0 || reached.Load() != 0 {
		t.Errorf("got %+v; the target was reached %d times", got, reached.Load())
	}
}

// The end is stored, its webhook is not queued.
func TestWorkerKilledBetweenEndAndWebhook(t *testing.T) {
	b, r := startWithWebhooks(t, 0), newReceiver(t)
	w := newInterceptor(t, b.RedisURL)
	var victim atomic.Pointer[stack.Process]
	w.reply = func(last, reply []byte) bool {
		if isEnd(last) && !bytes.HasPrefix(reply, []byte("-NOSCRIPT")) {
			_ = victim.Load().Signal(syscall.SIGKILL)
			return false
		}
		return true
	}
	w.start()
	victim.Store(b.startWorker(t, b.withRedis(w.url)))
	id := submit(t, b, quick, r.start(t).url())
	select {
	case <-victim.Load().Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the worker stored no end")
	}
	if got := awaitWebhook(t, b, id, "delivered", delivered); r.count(id) != 1 {
		t.Errorf("got %+v, received %d times", got, r.count(id))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.statuses[id] != "succeeded" {
		t.Errorf("received the status %s", r.statuses[id])
	}
}

// The receiver has the message, and the sender dies before the response.
func TestAPIKilledWhileSending(t *testing.T) {
	b, r := startWithWebhooks(t, 1), newReceiver(t)
	var first atomic.Bool
	arrived := make(chan struct{})
	r.respond = func(_ http.ResponseWriter, request *http.Request) {
		if first.CompareAndSwap(false, true) {
			close(arrived)
			<-request.Context().Done()
		}
	}
	id := submit(t, b, quick, r.start(t).url())
	<-arrived
	b.API.Kill()
	if err := b.RestartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if got := awaitWebhook(t, b, id, "delivered", delivered); got.Attempts < 2 || r.count(id) != 2 {
		t.Errorf("got %+v, received %d times", got, r.count(id))
	}
	t.Logf("delivered %s after the restart", time.Since(start))
}

// Workers and the API die while all jobs have a webhook. Each job's end is delivered at least
// once, whatever its outcome.
func TestWebhooksWhileEverythingDies(t *testing.T) {
	b, r := startWithWebhooks(t, 2), newReceiver(t)
	r.start(t)
	var ids []string
	for n := range 80 {
		ids = append(ids,
			submit(t, b, fmt.Sprintf("import time\ndef main():\n    time.sleep(%g)\n", 0.02*float64(n%10)), r.url()))
		switch n {
		case 30:
			b.Workers()[0].Kill()
		case 50:
			b.API.Kill()
			if err := b.RestartAPI(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	lost, twice := 0, 0
	for _, id := range ids {
		awaitWebhook(t, b, id, "delivered", delivered)
		n := r.count(id)
		r.mu.Lock()
		status := r.statuses[id]
		r.mu.Unlock()
		if n == 0 || status != "succeeded" && status != "failed" {
			t.Errorf("job %s was received %d times, as %q", id, n, status)
		}
		if status == "failed" {
			lost++
		}
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d jobs: %d received as worker_lost, %d received more than once", len(ids), lost, twice)
}
