package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

// stubLive is a Live whose Watch the test defines.
type stubLive func(ctx context.Context, from jobs.Position, emit func([]jobs.Event) error) error

func (s stubLive) Watch(
	ctx context.Context, _ string, from jobs.Position, _ time.Duration, emit func([]jobs.Event) error,
) error {
	return s(ctx, from, emit)
}

func newLiveHandler(t *testing.T, live stubLive) *Handler {
	t.Helper()
	logger := testLogger(t)
	h := New(stubJobs{}, Config{
		SyncWait: 15 * time.Second, Limits: jobs.DefaultLimits(), Live: live,
		Metrics: telemetry.NewAPIMetrics(nil, logger), Logger: logger,
	})
	t.Cleanup(h.Drain)
	return h
}

func TestEventStreamFormat(t *testing.T) {
	t.Parallel()
	record := succeeded("[1,\n2,\r3]")
	h := newLiveHandler(t, func(_ context.Context, from jobs.Position, emit func([]jobs.Event) error) error {
		if from != (jobs.Position{State: jobs.StateRunning, Stdout: 3}) {
			t.Errorf("from %+v", from)
		}
		running := jobs.Position{State: jobs.StateRunning, Stdout: 3}
		after := jobs.Position{State: jobs.StateRunning, Stdout: 12}
		return errors.Join(
			emit([]jobs.Event{{State: jobs.StateRunning, Position: running}}),
			emit(nil),
			emit([]jobs.Event{
				{Output: jobs.OutputChunk{Stream: jobs.Stdout, Offset: 3, Text: "a\nb\r\"é\u2028"}, Position: after},
				{End: &record, Position: jobs.Position{State: record.State, Stdout: 12}},
			}))
	})
	url := serve(t, h)
	got := send(t, http.MethodGet, url+"/jobs/"+jobID+"/events", "", "Last-Event-ID", "2-3-0")
	want := "retry: 1000\n\n" +
		"event: state\nid: 2-3-0\ndata: {\"job_id\":\"" + jobID + "\",\"status\":\"running\"}\n\n" +
		": still here\n\n" +
		"event: stdout\nid: 2-12-0\ndata: {\"text\":\"a\\nb\\r\\\"é\u2028\"}\n\n" +
		"event: end\nid: 3-12-0\ndata: {\"job_id\":"
	if got.status != http.StatusOK || !strings.HasPrefix(got.body, want) || !strings.HasSuffix(got.body, "}\n\n") ||
		got.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("got %d %s\n%s", got.status, got.header.Get("Content-Type"), got.body)
	}
	for line := range strings.Lines(got.body) {
		name, _, ok := strings.Cut(line, ":")
		if line != "\n" && (!ok || strings.Contains(line, "\r") || strings.ContainsAny(name, " {")) {
			t.Errorf("%q is no field", line)
		}
	}
	loadContract(t).check(t, http.MethodGet, url+"/jobs/"+jobID+"/events", "", got, true)
}

func TestWatchErrors(t *testing.T) {
	t.Parallel()
	h := newLiveHandler(t, func(context.Context, jobs.Position, func([]jobs.Event) error) error {
		return jobs.Errorf(jobs.CodeNotFound, "there is no such job, or it has expired")
	})
	url, c := serve(t, h), loadContract(t)
	for _, test := range []struct {
		method, id, last string
		status           int
	}{
		{http.MethodGet, jobID, "", http.StatusNotFound},
		{http.MethodGet, "nonsense", "", http.StatusNotFound},
		{http.MethodGet, jobID, "nonsense", http.StatusBadRequest},
		{http.MethodGet, jobID, "3-12-0", http.StatusNoContent},
		{http.MethodHead, jobID, "", http.StatusOK},
		{http.MethodPost, jobID, "", http.StatusMethodNotAllowed},
	} {
		var headers []string
		if test.last != "" {
			headers = []string{"Last-Event-ID", test.last}
		}
		path := url + "/jobs/" + test.id + "/events"
		got := send(t, test.method, path, "", headers...)
		if got.status != test.status {
			t.Errorf("%+v: got %d %s", test, got.status, got.body)
		}
		if test.method == http.MethodGet {
			c.check(t, http.MethodGet, path, "", got, true, headers...)
		}
	}
}

// A server that stops ends the watch, and the client resumes on another.
func TestDrainEndsWatches(t *testing.T) {
	t.Parallel()
	h := newLiveHandler(t, func(ctx context.Context, _ jobs.Position, emit func([]jobs.Event) error) error {
		queued := jobs.Event{State: jobs.StateQueued, Position: jobs.Position{State: jobs.StateQueued}}
		if err := emit([]jobs.Event{queued}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, serve(t, h)+"/jobs/"+jobID+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	field := ""
	for field != "data:" && lines.Scan() {
		field, _, _ = strings.Cut(lines.Text(), " ")
	}
	h.Drain()
	rest := 0
	for lines.Scan() {
		rest++
	}
	if lines.Err() != nil || rest > 1 {
		t.Errorf("the response breaks off, after %d more lines: %v", rest, lines.Err())
	}
}

// Slow readers share one encoded end instead of holding one each.
func TestSlowWatchersShareAnEnd(t *testing.T) {
	const watchers, size = 20, 16 << 20
	record := succeeded(`"` + strings.Repeat("x", size) + `"`)
	h := newLiveHandler(t, func(_ context.Context, _ jobs.Position, emit func([]jobs.Event) error) error {
		return emit([]jobs.Event{{End: &record, Position: jobs.Position{State: record.State}}})
	})
	url := serve(t, h)
	before := heapBytes()
	for range watchers {
		connection, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = connection.Close() })
		_, err = fmt.Fprintf(connection, "GET /jobs/%s/events HTTP/1.1\r\nHost: localhost\r\n\r\n", jobID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(connection, make([]byte, 1024)); err != nil { // and no more
			t.Fatal(err)
		}
	}
	if grown := heapBytes() - before; grown > watchers*size/4 {
		t.Errorf("%d watchers hold %d MiB", watchers, grown>>20)
	}
	h.endCache.mu.Lock()
	defer h.endCache.mu.Unlock()
	if len(h.endCache.entries) != 1 {
		t.Errorf("%d ends are held", len(h.endCache.entries))
	}
}

func heapBytes() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
