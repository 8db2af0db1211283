package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/jobs/store"
	"cellblock/internal/redistest"
)

// dialFrom connects to the API from 127.0.0.n.
func (r *running) dialFrom(t *testing.T, n byte) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, n)}, Timeout: 5 * time.Second}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// endLarge creates a job that has ended with a result of so many bytes.
func endLarge(t *testing.T, url string, bytes int) (id string) {
	t.Helper()
	records := store.New(redistest.Client(t, url), store.DefaultSettings())
	id = jobs.NewID()
	if err := records.Create(t.Context(), jobs.Job{Tenant: jobs.Operator, ID: id}); err != nil {
		t.Fatal(err)
	}
	result := `"` + strings.Repeat("x", bytes) + `"`
	if _, err := records.End(t.Context(), id, jobs.Outcome{Result: []byte(result)}); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestIdleReadersMakePlace lets clients that read nothing fill the memory for results: by requests for a result, and by
// event streams.
func TestIdleReadersMakePlace(t *testing.T) {
	url := redistest.Start(t)
	r := start(t, url, nil)
	ids := []string{endLarge(t, url, 30<<20), endLarge(t, url, 30<<20)}
	for _, path := range []string{"", "/events"} {
		var idle []net.Conn
		for _, id := range ids {
			conn := r.dialFrom(t, 2)
			if _, err := fmt.Fprintf(conn, "GET /jobs/%s%s HTTP/1.1\r\nHost: localhost\r\n\r\n", id, path); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 64<<10)); err != nil { // it holds memory by now
				t.Fatal(err)
			}
			idle = append(idle, conn)
		}
		began := time.Now()
		r.want(t, "GET", "/jobs/"+endLarge(t, url, 20<<20), "", 200, `"status":"succeeded"`)
		if took := time.Since(began); took > 20*time.Second {
			// It took a minute before. On a busy machine the large record itself takes seconds.
			t.Errorf("%q: the honest client waited %v", path, took)
		}
		cut := 0
		for _, conn := range idle {
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, _ := io.Copy(io.Discard, conn); n < 29<<20 {
				cut++
			}
		}
		if cut == 0 {
			t.Errorf("%q: none was cut", path)
		}
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

// TestReadersAreNotCutForNothing reads slowly while there is memory for all.
func TestReadersAreNotCutForNothing(t *testing.T) {
	url := redistest.Start(t)
	r := start(t, url, nil)
	conn := r.dialFrom(t, 2)
	request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodGet,
		r.url+"/jobs/"+endLarge(t, url, 10<<20), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * time.Second) // as long as a client that others wait for would be cut
	r.want(t, "GET", "/jobs/"+endLarge(t, url, 10<<20), "", 200, `"status":"succeeded"`)
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if n, err := io.Copy(io.Discard, response.Body); err != nil || n < 10<<20 {
		t.Errorf("it read %d bytes: %v", n, err)
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}
