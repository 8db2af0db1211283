package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cellblock/client"
)

// service answers the nth request with the nth handler, and all later ones with the last handler. It records the
// requests and their bodies.
type service struct {
	*client.Client
	url string

	mu       sync.Mutex
	received []*http.Request
	bodies   []string
}

func serve(t *testing.T, options []client.Option, handlers ...http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		n := len(s.received)
		s.received, s.bodies = append(s.received, r), append(s.bodies, string(body))
		s.mu.Unlock()
		handlers[min(n, len(handlers)-1)](w, r)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, append([]client.Option{client.WithToken("tok-secret")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s.Client, s.url = c, server.URL
	return s
}

func (s *service) requests() ([]*http.Request, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received), slices.Clone(s.bodies)
}

func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// breakConnection writes text and then breaks the connection.
func breakConnection(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if text != "" {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

const (
	succeeded = `{"result":[3.0,12345678901234567890],"stdout":"o","stderr":"e","job_id":"j","status":"succeeded",` +
		`"created_at":"2026-01-02T03:04:05.678Z"}`
	script = "def main(): pass"
)

func TestRepeatedPostIsTheSame(t *testing.T) {
	t.Parallel()
	s := serve(t, nil,
		answer(503, `{"error":"away","code":"unavailable"}`), breakConnection(""), breakConnection(`{"result":`),
		answer(502, "<html>a proxy"), answer(200, succeeded))
	job, err := s.Run(t.Context(), client.Request{Script: script})
	if err != nil {
		t.Fatal(err)
	}
	if string(job.Result) != "[3.0,12345678901234567890]" || *job.Stdout != "o" || job.Status != "succeeded" ||
		job.CreatedAt == "" {
		t.Errorf("the job is %+v", job)
	}
	sent, bodies := s.requests()
	for i, r := range sent {
		key := r.Header.Get("Idempotency-Key")
		if key == "" || key != sent[0].Header.Get("Idempotency-Key") || bodies[i] != bodies[0] {
			t.Errorf("attempt %d has the key %q and the body %q", i, key, bodies[i])
		}
	}
	if len(sent) != 5 {
		t.Errorf("%d attempts", len(sent))
	}
}

func TestRetryAfterIsRespected(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, answer(429, `{"error":"full","code":"queue_full"}`, "Retry-After", "1"), answer(200, succeeded))
	began := time.Now()
	if _, err := s.Run(t.Context(), client.Request{Script: script}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < time.Second || took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

// A tenant's limits are waited for too, unless that would take hours.
func TestLimitsOfTheTenantAreWaitedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code, after string
		attempts    int
	}{
		{"rate_limited", "1", 2}, {"quota_exceeded", "1", 2}, {"quota_exceeded", "3600", 1},
	} {
		refused := answer(429, `{"error":"x","code":"`+c.code+`"}`, "Retry-After", c.after)
		s := serve(t, nil, refused, answer(200, succeeded))
		_, err := s.Run(t.Context(), client.Request{Script: script})
		if sent, _ := s.requests(); len(sent) != c.attempts || (err == nil) != (c.attempts == 2) {
			t.Errorf("%s after %s s: %d attempts, %v", c.code, c.after, len(sent), err)
		}
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	s := serve(t, []client.Option{client.WithAttempts(2)}, answer(503, `{"error":"away","code":"unavailable"}`))
	_, err := s.Run(t.Context(), client.Request{Script: script})
	if client.CodeOf(err) != client.CodeUnavailable {
		t.Errorf("the error is %v", err)
	}
	if sent, _ := s.requests(); len(sent) != 2 {
		t.Errorf("%d attempts", len(sent))
	}
}

func TestDeadlineBeforeTheNextAttemptEndsRetries(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, answer(429, `{"error":"full","code":"queue_full"}`, "Retry-After", "60"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := s.Run(ctx, client.Request{Script: script})
	var refused *client.Error
	if !errors.As(err, &refused) || refused.RetryAfter != time.Minute || ctx.Err() != nil {
		t.Errorf("the error is %v", err)
	}
}

// A request that would fail again in the same way is not repeated.
func TestPermanentErrorIsNotRetried(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`503 {"error":"dropped","code":"not_started","job_id":"j"}`,
		`500 {"error":"lost","code":"worker_lost","job_id":"j"}`,
		`400 {"error":"no","code":"invalid_request"}`,
		`422 {"error":"boom","code":"exception","job_id":"j","traceback":"tb","stdout":"o"}`,
		`404 no such page`, `200 no JSON`, `422 {"error":"later","code":"a_code_of_later","job_id":"j"}`,
	} {
		var status int
		text, _ := strings.CutPrefix(body, body[:4])
		if _, err := fmt.Sscan(body, &status); err != nil {
			t.Fatal(err)
		}
		s := serve(t, nil, answer(status, text))
		job, err := s.Run(t.Context(), client.Request{Script: script})
		if sent, _ := s.requests(); len(sent) != 1 || err == nil {
			t.Errorf("%s: %d attempts, %v", body, len(sent), err)
		}
		if strings.Contains(body, "job_id") != (job != nil) ||
			job != nil && (job.Code != client.CodeOf(err) || job.Status != "failed") {
			t.Errorf("%s: the job is %+v", body, job)
		}
		if e := new(client.Error); strings.Contains(body, "exception") &&
			(!errors.As(err, &e) || e.Traceback != "tb" || e.Stdout != "o") {
			t.Errorf("%s: the error is %+v", body, e)
		}
	}
}

func TestNoErrorShowsASecret(t *testing.T) {
	t.Parallel()
	s := serve(t, []client.Option{client.WithAttempts(1)}, breakConnection(""),
		answer(401, `{"error":"a valid token is needed","code":"unauthorized"}`))
	_, broken := s.Run(t.Context(), client.Request{Script: script})
	_, refused := s.Run(t.Context(), client.Request{Script: script})
	withPassword, err := client.New("http://me:tok-secret@127.0.0.1:1/", client.WithAttempts(1),
		client.WithToken("tok-secret"))
	if err != nil {
		t.Fatal(err)
	}
	_, unreachable := withPassword.Ready(t.Context())
	_, unparsable := client.New("http://me:tok-secret@%zz/")
	_, unusable := client.New("ftp://me:tok-secret@host/")
	for _, err := range []error{broken, refused, unreachable, unparsable, unusable} {
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), "tok-secret") {
			t.Errorf("the error is %+v", err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v", s.Client, s.Client, s.Client); strings.Contains(shown, "tok-secret") {
		t.Errorf("a client shows itself as %s", shown)
	}
}

func TestAnIDCannotLeadToAnotherPath(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, answer(200, `{"job_id":"j","status":"queued"}`))
	for _, id := range []string{"", ".", ".."} {
		if _, err := s.Cancel(t.Context(), id); err == nil {
			t.Errorf("%q was taken for an id", id)
		}
	}
	if _, err := s.Get(t.Context(), "../a?b=%2f"); err != nil {
		t.Error(err)
	}
	sent, _ := s.requests()
	if len(sent) != 1 || sent[0].URL.EscapedPath() != "/jobs/..%2Fa%3Fb=%252f" {
		t.Errorf("%d requests, the last %s", len(sent), sent[len(sent)-1].URL.EscapedPath())
	}
}

func TestLargeFilesGoAsAForm(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 1<<20)
	var got map[string][]string
	var name string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(4 << 20); err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = r.MultipartForm.RemoveAll() }()
		got = r.MultipartForm.Value
		if files := r.MultipartForm.File["files"]; len(files) == 1 && files[0].Size == 1<<20 {
			name = files[0].Header.Get("Content-Disposition")
		}
		answer(200, succeeded)(w, r)
	}))
	defer server.Close()
	c, err := client.New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Run(t.Context(), client.Request{
		Script: script, Args: map[string]any{"a": "b"}, Stdin: "in\n", Env: map[string]string{"K": "v"},
		Priority: "low",
		Limits:   client.Limits{MemoryMB: 64}, Files: []client.File{{Path: "d/ä.bin", Content: []byte(large)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"script": script, "args": `{"a":"b"}`, "stdin": "in\n", "env": `{"K":"v"}`,
		"priority": "low", "limits": `{"memory_mb":64}`,
	}
	for field, value := range want {
		if len(got[field]) != 1 || got[field][0] != value {
			t.Errorf("%s is %q, want %q", field, got[field], value)
		}
	}
	if len(got) != len(want) || name != `form-data; name="files"; filename="d/ä.bin"` {
		t.Errorf("the form is %q with %s", got, name)
	}
}

func events(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
	}
}

func event(id, kind, data string) string {
	return fmt.Sprintf("event: %s\nid: %s\ndata: %s\n\n", kind, id, data)
}

func TestBrokenWatchResumes(t *testing.T) {
	t.Parallel()
	end := event("3", "end", `{"job_id":"j","status":"failed","code":"exit","error":"x"}`)
	s := serve(t, nil,
		// ends without the end
		events("retry: 1\n\n:hello\n\n"+event("1", "stdout", `{"text":"a"}`)+event("1b", "of_later", `7`)),
		breakConnection(event("2", "stderr", `{"text":"b"}`)+"event: stdout\nid: 9\ndata: {\"te"),
		answer(503, `{"error":"away","code":"unavailable"}`),
		events(end+event("4", "stdout", `{"text":"never"}`)))
	var received []string
	for e, err := range s.Watch(t.Context(), "j") {
		if err != nil {
			t.Fatal(err)
		}
		received = append(received, string(e.Kind)+e.ID+e.Text)
		if e.Kind == client.EventEnd && e.Job.Code != client.CodeExit {
			t.Errorf("the job is %+v", e.Job)
		}
	}
	if want := []string{"stdout1a", "stderr2b", "end3"}; !slices.Equal(received, want) {
		t.Errorf("received %q, want %q", received, want)
	}
	sent, _ := s.requests()
	var last []string
	for _, r := range sent {
		last = append(last, r.Header.Get("Last-Event-ID"))
	}
	if want := []string{"", "1", "2", "2"}; !slices.Equal(last, want) {
		t.Errorf("Last-Event-ID was %q, want %q", last, want)
	}
}

func TestAWatchEndsWithoutMore(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, answer(204, ""))
	for e, err := range s.Watch(t.Context(), "j", client.After("3")) {
		t.Errorf("received %+v, %v", e, err)
	}
}

func TestAWatchEndsAfterItsAttempts(t *testing.T) {
	t.Parallel()
	s := serve(t, []client.Option{client.WithAttempts(2)}, events("retry: 1\n\n"+event("1", "stdout", `{"text":"a"}`)),
		events("retry: 1\n\n"))
	var errs []error
	for _, err := range s.Watch(t.Context(), "j") {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || !errors.Is(errs[1], io.ErrUnexpectedEOF) {
		t.Errorf("the errors are %v", errs)
	}
	if sent, _ := s.requests(); len(sent) != 6 {
		t.Errorf("%d connections", len(sent))
	}
}

func TestRetryIsHonoured(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, events("retry:700\n\n"), answer(204, ""))
	began := time.Now()
	for _, err := range s.Watch(t.Context(), "j") {
		t.Error(err)
	}
	if took := time.Since(began); took < 700*time.Millisecond {
		t.Errorf("it came back after %s", took)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		events(event("1", "state", `{"job_id":"j","status":"running"}`))(w, r)
		<-r.Context().Done()
	})
	var last error
	for e, err := range s.Watch(ctx, "j") {
		if last = err; err == nil && e.Status == "running" {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("the error is %v", last)
	}
}

func TestBrokenBatchResultsResume(t *testing.T) {
	t.Parallel()
	s := serve(t, nil,
		breakConnection("{\"index\":1,\"code\":\"invalid_request\"}\n\n{\"index\":0,\"jo"),
		events("{\"index\":0,\"job\":{\"job_id\":\"j\"}}\n{\"index\":2"), // a whole answer, but not a whole line
		events("{\"index\":2,\"job\":{\"job_id\":\"k\"}}\n"))
	var indexes []int
	for result, err := range s.BatchResults(t.Context(), "b", client.ResultsOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, result.Index)
	}
	sent, _ := s.requests()
	var after []string
	for _, r := range sent {
		after = append(after, r.URL.Query().Get("after"))
	}
	if !slices.Equal(indexes, []int{1, 0, 2}) || !slices.Equal(after, []string{"0", "1", "2"}) {
		t.Errorf("%v came, asked for after %v", indexes, after)
	}
}

func TestWaitReturnsTheJobAndItsError(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, answer(200, `{"job_id":"j","status":"running"}`),
		answer(200, `{"job_id":"j","status":"failed","code":"timeout","error":"too long","limit":{"name":"wall",`+
			`"value":1,"unit":"seconds"}}`))
	job, err := s.Wait(t.Context(), "j")
	var failed *client.Error
	if !errors.As(err, &failed) || failed.Code != client.CodeTimeout || failed.Limit.Value != 1 || job == nil ||
		job.Status != "failed" {
		t.Errorf("%+v, %v", job, err)
	}
}

func TestErrorTextHasDetailAndHint(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, answer(422, `{"error":"no JSON","code":"not_serializable","job_id":"j","status":"failed",`+
		`"created_at":"2026-01-02T03:04:05.678Z","detail":"result[1]: set","hint":"use a list"}`))
	job, err := s.Run(t.Context(), client.Request{Script: script})
	if err == nil || err.Error() != "no JSON: result[1]: set; use a list (not_serializable, job j)" {
		t.Errorf("the error is %v", err)
	}
	if job == nil || job.Status != "failed" || job.CreatedAt == "" {
		t.Errorf("the job is %+v", job)
	}
}
