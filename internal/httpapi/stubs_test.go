package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

func TestMain(m *testing.M) {
	decodeStreamsAsText()
	goleak.VerifyTestMain(m)
}

const jobID = "01981f3e-7c1a-7000-8000-000000000001"

// stubJobs is a Jobs whose methods the test defines. The real one is tested with this package in test/.
type stubJobs struct {
	submit  func(ctx context.Context, request jobs.Request, requestID string) (string, error)
	cancel  func(ctx context.Context, id string) (jobs.Record, error)
	abandon func(ctx context.Context, id string) (bool, error)
	list    func(ctx context.Context, query jobs.ListQuery) (jobs.Page, error)
	execute func(ctx context.Context, request jobs.Request, requestID string, wait time.Duration) (jobs.Record, error)
	get     func(ctx context.Context, id string, wait time.Duration) (jobs.Record, error)
	// acquire, if not nil, returns the release of each record of Execute, Get and Cancel.
	acquire func() (release func())
	ready   func(ctx context.Context) (int, error)
}

func (s stubJobs) Submit(ctx context.Context, request jobs.Request, requestID string) (jobs.Record, error) {
	if s.submit == nil {
		return jobs.Record{ID: jobID, State: jobs.StateQueued}, nil
	}
	id, err := s.submit(ctx, request, requestID)
	return jobs.Record{ID: id, State: jobs.StateQueued}, err
}

func (s stubJobs) Cancel(ctx context.Context, id string) (jobs.Record, func(), error) {
	if s.cancel == nil {
		return failed(jobs.Failure{Code: jobs.CodeCancelled, Message: "the job was cancelled"}), s.release(), nil
	}
	record, err := s.cancel(ctx, id)
	return record, s.release(), err
}

func (s stubJobs) release() func() {
	if s.acquire == nil {
		return func() {}
	}
	return s.acquire()
}

func (s stubJobs) Abandon(ctx context.Context, id string) (bool, error) {
	if s.abandon == nil {
		return false, nil
	}
	return s.abandon(ctx, id)
}

func (s stubJobs) List(ctx context.Context, query jobs.ListQuery) (jobs.Page, error) {
	if s.list == nil {
		return jobs.Page{Jobs: []jobs.Record{succeeded("1")}, Next: jobID}, nil
	}
	return s.list(ctx, query)
}

func (s stubJobs) Execute(
	ctx context.Context, request jobs.Request, requestID string, wait time.Duration, stored func(),
) (jobs.Record, func(), error) {
	stored()
	if s.execute == nil {
		return succeeded(`{"mean":3.0}`), s.release(), nil
	}
	record, err := s.execute(ctx, request, requestID, wait)
	return record, s.release(), err
}

func (s stubJobs) Get(ctx context.Context, id string, wait time.Duration) (jobs.Record, func(), error) {
	if s.get == nil {
		return succeeded(`{"mean":3.0}`), s.release(), nil
	}
	record, err := s.get(ctx, id, wait)
	return record, s.release(), err
}

func (s stubJobs) Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
	record, release, err := s.Get(ctx, id, wait)
	release()
	if record.Outcome != nil {
		record.Outcome = &jobs.Outcome{Files: record.Outcome.Files}
	}
	return record, err
}

func (s stubJobs) Ready(ctx context.Context) (int, error) {
	if s.ready == nil {
		return 2, nil
	}
	return s.ready(ctx)
}

// stubExecute returns a Jobs whose Execute returns the record.
func stubExecute(record jobs.Record, err error) stubJobs {
	return stubJobs{execute: func(context.Context, jobs.Request, string, time.Duration) (jobs.Record, error) {
		return record, err
	}}
}

// stubFailure returns a Jobs whose jobs fail.
func stubFailure(failure jobs.Failure) stubJobs { return stubExecute(failed(failure), nil) }

// stubCancel returns a Jobs whose Cancel returns the record.
func stubCancel(record jobs.Record, err error) stubJobs {
	return stubJobs{cancel: func(context.Context, string) (jobs.Record, error) { return record, err }}
}

// stubGet returns a Jobs whose Get returns the record.
func stubGet(record jobs.Record, err error) stubJobs {
	return stubJobs{get: func(context.Context, string, time.Duration) (jobs.Record, error) { return record, err }}
}

var created = time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("", 3600))

func succeeded(result string) jobs.Record {
	cpu, memory := 11.8, int64(9437184)
	return ended(jobs.Outcome{
		Result: []byte(result),
		Stdout: "Processing data...\n",
		Usage:  jobs.Usage{QueuedMS: 0.9, PrepareMS: 21.4, RunMS: 12.3, CPUMS: &cpu, MemoryPeakBytes: &memory},
	})
}

func failed(failure jobs.Failure) jobs.Record {
	return ended(jobs.Outcome{Failure: &failure, Stdout: "before\n"})
}

func ended(outcome jobs.Outcome) jobs.Record {
	return jobs.Record{
		ID: jobID, State: outcome.State(), Outcome: &outcome,
		CreatedAt: created, StartedAt: created.Add(23 * time.Millisecond), FinishedAt: created.Add(time.Second),
	}
}

// newHandler returns a handler without a token.
func newHandler(t *testing.T, service Jobs) *Handler {
	t.Helper()
	return newHandlerWith(t, service, Settings{})
}

func newHandlerWith(t *testing.T, service Jobs, settings Settings) *Handler {
	t.Helper()
	logger := testLogger(t)
	h := New(service, Config{
		Settings:      settings,
		SyncWait:      15 * time.Second,
		Limits:        jobs.DefaultLimits(),
		StartDeadline: time.Hour,
		Environments:  stubEnvironments{},
		Metrics:       telemetry.NewAPIMetrics(nil, logger),
		Logger:        logger,
	})
	t.Cleanup(h.Drain)
	return h
}

func testLogger(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// serve serves h over real HTTP, with the API's server settings, and returns its URL.
func serve(t *testing.T, h *Handler) string {
	t.Helper()
	return serveServer(t, h.NewServer())
}

func serveServer(t *testing.T, config *http.Server) string {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.Config = config
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// bubbleURL is the URL of the API for the client of serveInBubble, executeURL that of POST /execute.
const (
	bubbleURL  = "http://localhost"
	executeURL = bubbleURL + "/execute"
)

// serveInBubble serves the handler over connections in memory, whose deadlines follow the fake clock of the synctest
// bubble that calls it. The client it returns sends all requests to the handler.
func serveInBubble(t *testing.T, h *Handler) *http.Client {
	t.Helper()
	listener := pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := h.NewServer()
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: listener.dial}}
}

// pipeListener accepts the other ends of the connections that dial makes.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	l.conns <- server
	return client, nil
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error   { close(l.closed); return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// reply is a complete response.
type reply struct {
	status int
	header http.Header
	body   string
}

// newRequest returns a request; headers are pairs of name and value.
func newRequest(
	ctx context.Context, t *testing.T, method, url string, body io.Reader, headers ...string,
) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	return request
}

// send sends a request; headers are pairs of name and value.
func send(t *testing.T, method, url, body string, headers ...string) reply {
	t.Helper()
	return do(t, newRequest(t.Context(), t, method, url, strings.NewReader(body), headers...))
}

// post sends a script to POST /execute.
func post(t *testing.T, url, body string, headers ...string) reply {
	t.Helper()
	return send(t, http.MethodPost, url+"/execute", body,
		append([]string{"Content-Type", "application/json"}, headers...)...)
}

func do(t *testing.T, request *http.Request) reply {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	return doWith(t, client, request)
}

func doWith(t *testing.T, client *http.Client, request *http.Request) reply {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{status: response.StatusCode, header: response.Header, body: string(body)}
}

func decode(t *testing.T, body string) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return fields
}

// wantResponse checks the status, the code in a JSON body ("" for none), and the headers of every response.
func wantResponse(t *testing.T, got reply, status int, code jobs.Code) {
	t.Helper()
	if got.status != status {
		t.Fatalf("status %d, want %d: %s", got.status, status, got.body)
	}
	if code != "" && decode(t, got.body)["code"] != string(code) {
		t.Errorf("want code %s in %s", code, got.body)
	}
	if !requestIDPattern.MatchString(got.header.Get("X-Request-Id")) {
		t.Errorf("X-Request-Id is %q", got.header.Get("X-Request-Id"))
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers: %v", got.header)
	}
	if status == 503 && got.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

// stubEnvironments are two environments, of which one has no worker.
type stubEnvironments struct{}

func (stubEnvironments) Environments(context.Context) ([]jobs.EnvironmentStatus, error) {
	hash := strings.Repeat("0123456789abcdef", 4)
	return []jobs.EnvironmentStatus{
		{
			Environment: jobs.Environment{
				Name: "default", Hash: hash, Python: "3.11.2",
				Packages: []jobs.Package{{Name: "numpy", Version: "2.4.1", Imports: []string{"numpy"}}},
			},
			Hashes: []string{hash}, Workers: 2,
		},
		{Environment: jobs.Environment{Name: "data-science"}},
	}, nil
}
