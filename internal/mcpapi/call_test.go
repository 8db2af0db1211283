package mcpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/membudget"
)

// releasingJobs is a Jobs with one job, whose memory is counted.
type releasingJobs struct {
	stubJobs

	record jobs.Record
	held   *atomic.Int32
}

func (s releasingJobs) hold() (jobs.Record, func(), error) {
	s.held.Add(1)
	return s.record, func() { s.held.Add(-1) }, nil
}

func (s releasingJobs) Execute(
	_ context.Context, _ jobs.Request, _ string, _ time.Duration, stored func(),
) (jobs.Record, func(), error) {
	stored()
	return s.hold()
}

func (s releasingJobs) Get(context.Context, string, time.Duration) (jobs.Record, func(), error) {
	return s.hold()
}

func (s releasingJobs) Describe(context.Context, string, time.Duration) (jobs.Record, error) {
	return s.record, nil
}

// slowReader is the writer for a client that does not read, and its holder, which the first write waits for.
type slowReader struct {
	*httptest.ResponseRecorder

	writing, cut         chan struct{}
	onceWriting, onceCut sync.Once
}

func (s *slowReader) Write([]byte) (int, error) {
	s.onceWriting.Do(func() { close(s.writing) })
	<-s.cut
	return 0, io.ErrClosedPipe
}

func (s *slowReader) Client() string       { return "slow" }
func (s *slowReader) Pace() membudget.Pace { return membudget.Stalled }
func (s *slowReader) Cut()                 { s.onceCut.Do(func() { close(s.cut) }) }

// TestAnswersHoldTheirMemoryUntilTheyAreWritten: a client that does not read loses it when others need it.
func TestAnswersHoldTheirMemoryUntilTheyAreWritten(t *testing.T) {
	t.Parallel()
	png := "\x89PNG\r\n\x1a\n" + strings.Repeat("x", 1000)
	record := ended(jobs.Outcome{Result: []byte("1"), Files: []jobs.OutputFile{
		{Name: "a.png", Size: int64(len(png)), MediaType: "image/png", Key: png},
	}})
	for name, tc := range map[string]struct {
		arguments string
		records   int32
	}{
		"run_python": {`{"code":"x"}`, 1},
		"get_job":    {`{"job_id":"` + jobID + `"}`, 1},
		"read_file":  {`{"job_id":"` + jobID + `","path":"a.png"}`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held := &atomic.Int32{}
			handler := NewHandler(newLocal(t, releasingJobs{record: record, held: held}),
				Settings{Wait: time.Minute, Logger: testLogger(t)})
			client := &slowReader{
				ResponseRecorder: httptest.NewRecorder(), writing: make(chan struct{}), cut: make(chan struct{}),
			}
			ctx := jobs.WithCaller(membudget.WithHolder(t.Context(), client), jobs.OperatorCaller())
			request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/mcp",
				strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+
					`","arguments":`+tc.arguments+`}}`))
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Accept", "application/json, text/event-stream")
			var call sync.WaitGroup
			call.Go(func() { handler.ServeHTTP(client, request) })
			<-client.writing
			if got := held.Load(); got != tc.records {
				t.Errorf("it holds %d records while it is written", got)
			}
			if handler.memory.Idle() {
				t.Error("the picture holds no memory")
			}
			release, ok := handler.memory.Acquire(t.Context(), maxFileMemory)
			if !ok {
				t.Error("the client was not cut")
			}
			release()
			client.Cut()
			call.Wait()
			if held.Load() != 0 || !handler.memory.Idle() {
				t.Error("some memory is not released")
			}
		})
	}
}

// TestWithoutMemoryLinksReplacePictures: the rest of the answer is the same.
func TestWithoutMemoryLinksReplacePictures(t *testing.T) {
	t.Parallel()
	png := "\x89PNG\r\n\x1a\n"
	local := newLocal(t, stubJobs{get: func(context.Context, string, time.Duration) (jobs.Record, error) {
		return ended(jobs.Outcome{Result: []byte("1"), Files: []jobs.OutputFile{
			{Name: "a.png", Size: int64(len(png)), MediaType: "image/png", Key: png},
		}}), nil
	}})
	memory := membudget.New(1, time.Millisecond)
	release, _ := memory.Acquire(t.Context(), 1)
	defer release()
	call := &call{done: t.Context(), baseURL: "http://host", memory: memory}
	ctx := context.WithValue(t.Context(), callKey{}, call)
	tools := &tools{service: local, settings: Settings{Logger: testLogger(t)}}
	job, _, err := local.Get(ctx, jobID, 0)
	if err != nil {
		t.Fatal(err)
	}
	result, err := tools.answerJob(ctx, job)
	want := "result: 1|http://host/jobs/" + jobID + "/files/a.png|files of job " + jobID + ": a.png (8 bytes)"
	if err != nil || textOfResult(result) != want {
		t.Errorf("%v: %q", err, textOfResult(result))
	}
}
