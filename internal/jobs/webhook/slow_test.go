package webhook

import (
	"net/http"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

// A receiver that never responds uses at most half of the concurrent attempts once it is known to be slow. A postponed
// attempt does not count.
func TestASlowReceiverDelaysNoOther(t *testing.T) {
	t.Parallel()
	b := newFixture(t, func(s *Settings) { s.Timeout, s.Concurrency = 500*time.Millisecond, 2 })
	arrived := make(chan struct{}, 3)
	released := make(chan struct{})
	defer close(released)
	dead := serve(t, "127.0.0.2:0", func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-released
	})
	good := serve(t,
		"127.0.0.2:0", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if got, _ := b.send(t, b.ended(t, dead.URL)); got.Error != "timeout" {
		t.Fatalf("got %+v", got)
	}
	<-arrived
	sent := make(chan error, 1)
	id, waiting := b.ended(t, dead.URL), b.ended(t, dead.URL)
	go func() {
		_, err := b.Send(t.Context(), id)
		sent <- err
	}()
	<-arrived
	if got, again := b.send(t, waiting); got.Attempts != 0 || got.Status != jobs.WebhookPending ||
		again < 250*time.Millisecond || again > 750*time.Millisecond {
		t.Errorf("one more to it: %+v, again in %s", got, again)
	}
	if got, _ := b.send(t, b.ended(t, good.URL)); got.Status != jobs.WebhookDelivered {
		t.Errorf("one to another: %+v", got)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if got, _ := b.send(t, waiting); got.Attempts != 1 {
		t.Errorf("when it was its turn: %+v", got)
	}
}
