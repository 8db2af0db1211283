package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// An idle connection is closed and made again; one with a slow reader is not.
func TestAnIdleConnectionIsMadeAgain(t *testing.T) {
	t.Parallel()
	const bound = 200 * time.Millisecond
	slept := make(chan struct{})
	var connections atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if connections.Add(1) > 1 {
			if last := r.Header.Get("Last-Event-ID"); last != "2" {
				t.Errorf("reconnected with %q", last)
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		writeAndFlush(w, "event: stdout\nid: 1\ndata: {\"text\":\"a\"}\n\n")
		<-slept
		writeAndFlush(w, "event: stdout\nid: 2\ndata: {\"text\":\"b\"}\n\n")
		<-r.Context().Done()
	}))
	defer server.Close()
	c, err := New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.idle = bound
	var texts []string
	for e, err := range c.Watch(t.Context(), "j") {
		if err != nil {
			t.Fatal(err)
		}
		if texts = append(texts, e.Text); e.ID == "1" {
			time.Sleep(2 * bound)
			close(slept)
		}
	}
	if !slices.Equal(texts, []string{"a", "b"}) || connections.Load() != 2 {
		t.Errorf("received %q over %d connections", texts, connections.Load())
	}
}

func writeAndFlush(w http.ResponseWriter, text string) {
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}
