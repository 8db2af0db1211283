package api

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/queue"
	"cellblock/internal/jobs/store"
	"cellblock/internal/jobs/webhook"
	"cellblock/internal/redistest"
	"cellblock/test/stack"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func withWebhooks(s *Settings) {
	s.Webhook = webhook.Settings{
		Secret: secret, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")},
		Attempts: 3, Pause: 20 * time.Millisecond, Timeout: 2 * time.Second, Concurrency: 2,
	}
}

// receiver serves webhooks on 127.0.0.2 with handle.
func receiver(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{
		Listener: listener,
		Config:   &http.Server{Handler: handle, ReadHeaderTimeout: time.Second},
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

type message struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

type jobAnswer struct {
	ID      string `json:"job_id"`
	Status  string `json:"status"`
	Webhook struct {
		URL      string `json:"url"`
		Status   string `json:"status"`
		Attempts int    `json:"attempts"`
	} `json:"callback"`
}

// TestWebhookOfACancelledJob cancels an accepted job, whose webhook succeeds at the second attempt and has the
// current job.
func TestWebhookOfACancelledJob(t *testing.T) {
	messages := make(chan message, 3)
	refused := false
	to := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		hook, err := webhooks.NewWebhook(secret)
		if err != nil || hook.Verify(body, r.Header) != nil {
			t.Errorf("the message cannot be verified: %s", body)
		}
		if !refused {
			refused = true
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		var m message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		messages <- m
	})
	r := start(t, redistest.Start(t), withWebhooks)
	answer := r.want(t, "POST", "/execute",
		`{"script":"def main(): pass","async":true,"callback_url":"`+to+`/x?token=hunter2"}`, 202, `"status":"queued"`)
	var job jobAnswer
	if err := json.Unmarshal([]byte(answer), &job); err != nil {
		t.Fatal(err)
	}
	r.want(t, "GET", "/jobs/"+job.ID, "", 200, `"callback":{"url":"`+to+`/x","status":"waiting","attempts":0,`)
	r.want(t, "DELETE", "/jobs/"+job.ID, "", 200, `"status":"cancelled"`)
	select {
	case m := <-messages:
		var told jobAnswer
		if err := json.Unmarshal(m.Data, &told); err != nil || m.Type != "job.ended" || told.ID != job.ID ||
			told.Status != "cancelled" || told.Webhook.Attempts != 2 {
			t.Errorf("got %s, %v", m.Data, err)
		}
	case <-time.After(8 * time.Second):
		t.Fatal("no message came")
	}
	line := r.await(t, "webhook delivered")
	if strings.Contains(line, "hunter2") || !strings.Contains(line, job.ID) {
		t.Error(line)
	}
	r.want(t, "GET", "/jobs/"+job.ID, "", 200, `"status":"delivered","attempts":2,`)
	r.want(t, "GET", "/metrics", "", 200, "\ncellblock_callback_attempts_total{result=\"delivered\"} 1\n")
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

// TestWebhookOfATenant: what the tenant was given verifies its messages, and the service's own secret does not.
func TestWebhookOfATenant(t *testing.T) {
	headers, bodies := make(chan http.Header, 1), make(chan []byte, 1)
	to := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		headers <- r.Header
		bodies <- body
	})
	url := redistest.Start(t)
	r := start(t, url, func(s *Settings) {
		withWebhooks(s)
		s.Webhook.Generations = map[string]int{"acme": 2}
	})
	var given struct{ Secrets []string }
	answer := r.want(t, "GET", "/admin/tenants/acme/webhook-secret", "", 200, `"generation":2`)
	if err := json.Unmarshal([]byte(answer), &given); err != nil || len(given.Secrets) != 1 {
		t.Fatalf("%v in %s", err, answer)
	}
	client := redistest.Client(t, url)
	records := store.New(client, store.DefaultSettings()).WithWebhooks(queue.NewProducer(client))
	id := jobs.NewID()
	if err := records.Create(t.Context(), jobs.Job{ID: id, Tenant: "acme", WebhookURL: to}); err != nil {
		t.Fatal(err)
	}
	if _, err := records.End(t.Context(), id, jobs.Outcome{Result: []byte("1")}); err != nil {
		t.Fatal(err)
	}
	header, body := <-headers, <-bodies
	for secret, want := range map[string]bool{given.Secrets[0]: true, secret: false} {
		hook, err := webhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify(body, header); err == nil != want {
			t.Errorf("verified: %v, want %v", err, want)
		}
	}
	if line := r.await(t, "webhook delivered"); strings.Contains(line, given.Secrets[0]) {
		t.Error("the secret is in the log")
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

func TestRefusedWebhookURLs(t *testing.T) {
	without := start(t, redistest.Start(t), nil)
	without.want(t, "POST", "/execute", `{"script":"","callback_url":"https://a.example/"}`, 400, "CALLBACK_SECRET")
	if err := without.end(t); err != nil {
		t.Error(err)
	}
	r := start(t, redistest.Start(t), withWebhooks)
	for _, url := range []string{
		"http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest",
		"http://[::ffff:127.0.0.2]/",
	} {
		r.want(t, "POST", "/execute", `{"script":"","async":true,"callback_url":"`+url+`"}`, 400,
			`"code":"invalid_request"`)
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

// TestShutdownLetsWebhooksEnd stops the API while a webhook is being received.
func TestShutdownLetsWebhooksEnd(t *testing.T) {
	arrived, goOn := make(chan struct{}), make(chan struct{})
	to := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-goOn
	})
	url := redistest.Start(t)
	r := start(t, url, withWebhooks)
	answer := r.want(t, "POST", "/execute", `{"script":"","async":true,"callback_url":"`+to+`"}`, 202, "")
	var job jobAnswer
	if err := json.Unmarshal([]byte(answer), &job); err != nil {
		t.Fatal(err)
	}
	r.want(t, "DELETE", "/jobs/"+job.ID, "", 200, "")
	<-arrived
	r.stop()
	r.await(t, "shutting down")
	close(goOn)
	r.await(t, "webhook delivered")
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	state := redistest.Client(t, url).HGet(t.Context(), "cellblock:{"+job.ID+"}:job", "webhook_state").Val()
	if !strings.HasPrefix(state, "delivered 1 ") {
		t.Errorf("it stands as %q", state)
	}
}

// TestReceiverExample sends a real message to examples/receiver.py, which refuses unsigned ones.
func TestReceiverExample(t *testing.T) {
	example, err := stack.StartReceiver(t.Context(), "../../..", secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(example.Stop)
	lines := example.Lines
	r := start(t, redistest.Start(t), func(s *Settings) {
		withWebhooks(s)
		s.Webhook.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	to := "http://127.0.0.1:" + example.Port + "/"
	forged, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to,
		strings.NewReader(`{"type":"job.ended","data":{"job_id":"x","status":"succeeded"}}`))
	if err != nil {
		t.Fatal(err)
	}
	forged.Header = http.Header{
		"Webhook-Id":        {"msg_x"},
		"Webhook-Timestamp": {strconv.FormatInt(time.Now().Unix(), 10)}, "Webhook-Signature": {"v1,AAAA"},
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	response, err := client.Do(forged)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusBadRequest {
		t.Errorf("a forged message gets %s", response.Status)
	}
	answer := r.want(t, "POST", "/execute", `{"script":"","async":true,"callback_url":"`+to+`"}`, 202, "")
	var job jobAnswer
	if err := json.Unmarshal([]byte(answer), &job); err != nil {
		t.Fatal(err)
	}
	r.want(t, "DELETE", "/jobs/"+job.ID, "", 200, "")
	if !lines.Scan() || lines.Text() != job.ID+" cancelled None" {
		t.Errorf("it says %q", lines.Text())
	}
	r.await(t, "webhook delivered")
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

// Slow receivers do not hold the memory with which clients read their results.
func TestSlowReceiversDoNotBlockReaders(t *testing.T) {
	t.Parallel()
	receiving, done := make(chan struct{}, 2), make(chan struct{})
	to := receiver(t, func(http.ResponseWriter, *http.Request) {
		receiving <- struct{}{}
		<-done
	})
	url := redistest.Start(t)
	r := start(t, url, func(s *Settings) {
		withWebhooks(s)
		s.Webhook.Timeout = 20 * time.Second
	})
	client := redistest.Client(t, url)
	records := store.New(client, store.DefaultSettings()).WithWebhooks(queue.NewProducer(client))
	end := func(webhookURL string, bytes int) (id string) {
		id = jobs.NewID()
		job := jobs.Job{Tenant: jobs.Operator, ID: id, WebhookURL: webhookURL}
		if err := records.Create(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		result := `"` + strings.Repeat("x", bytes) + `"`
		if _, err := records.End(t.Context(), id, jobs.Outcome{Result: []byte(result)}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	end(to, 64<<20) // as large as the memory for readers
	<-receiving
	r.want(t, "GET", "/jobs/"+end("", 1<<20), "", 200, `"status":"succeeded"`)
	close(done)
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}
