package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A connection whose other end says nothing more is given up, and made again.
func TestAnIdleConnectionIsMadeAgain(t *testing.T) {
	connections := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections <- r.Header.Get("Last-Event-ID")
		if len(connections) == 2 {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, "event: stdout\nid: 1\ndata: {\"text\":\"a\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.idle = 100 * time.Millisecond
	for e, err := range c.Watch(t.Context(), "j") {
		if err != nil || e.Text != "a" {
			t.Errorf("%+v, %v", e, err)
		}
		time.Sleep(2 * c.idle) // the caller's own time does not count
	}
	if first, second := <-connections, <-connections; first != "" || second != "1" {
		t.Errorf("the connections came with %q and %q", first, second)
	}
}
