package traces

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"cellblock/test/stack"
)

// TestAttemptsAtAWebhook: each is a span in the job's trace, and the receiver can continue it.
func TestAttemptsAtAWebhook(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var parents []string
	stop, err := stack.ServeWebhooks(listener, webhookSecret,
		func(w http.ResponseWriter, r *http.Request, _ stack.WebhookJob, err error) {
			mu.Lock()
			defer mu.Unlock()
			parents = append(parents, r.Header.Get("Traceparent"))
			if len(parents) == 1 {
				w.WriteHeader(http.StatusBadGateway)
			}
			if err != nil {
				t.Error(err)
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stop() })
	client := newParent()
	url := "http://" + listener.Addr().String() + "/path-3391?query-8802=1"
	got := send(t, traced, "POST", "/execute", script("def main(): return 1", `"callback_url":"`+url+`"`),
		"traceparent", client.header(true))
	if got.Status != 200 {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	trace := spans.await(t, client.trace, map[string]int{"POST webhook": 2, "send jobs": 1})
	attempts, sent := named(trace, "POST webhook"), one(t, trace, "send jobs")
	mu.Lock()
	defer mu.Unlock()
	for i, s := range attempts {
		if s.parent() != sent.id() || parents[i] != "00-"+client.trace+"-"+s.id()+"-01" {
			t.Errorf("attempt %d: %s sent %s", i, describe([]span{s}), parents[i])
		}
		checkAttributes(t, s, map[string]string{
			"http.request.method": "POST", "server.address": "127.0.0.1",
			"server.port": listener.Addr().String()[len("127.0.0.1:"):], "cellblock.job.id": got.JobID,
			"http.request.resend_count": []string{"", "1"}[i], "cellblock.outcome": []string{"status", "ok"}[i],
			"http.response.status_code": []string{"502", "200"}[i], "error.type": []string{"status", ""}[i],
		})
		if s.failed() != (i == 0) || !strings.HasSuffix(s.get("url.full"), "/REDACTED") {
			t.Errorf("attempt %d: %v %v", i, s.Status, texts(s.Attributes))
		}
	}
	for _, secret := range []string{"path-3391", "query-8802", webhookSecret} {
		if spans.has(secret) {
			t.Errorf("the spans have %q", secret)
		}
	}
	if id := logged(t, traced.API, "webhook delivered", "span_id", got.JobID); id != attempts[1].id() {
		t.Errorf("the log names the span %q", id)
	}
}
