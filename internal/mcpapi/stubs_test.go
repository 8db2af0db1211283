package mcpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"cellblock/api"
	"cellblock/internal/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const jobID = "01981f3e-7c1a-7000-8000-000000000001"

// stubJobs is a Jobs whose methods the test defines.
type stubJobs struct {
	execute func(ctx context.Context, request jobs.Request) (jobs.Record, error)
	get     func(ctx context.Context, id string, wait time.Duration) (jobs.Record, error)
	cancel  func(id string) (jobs.Record, error)
}

func (s stubJobs) Execute(
	ctx context.Context, request jobs.Request, _ string, _ time.Duration, stored func(),
) (jobs.Record, func(), error) {
	stored()
	record, err := s.execute(ctx, request)
	return record, func() {}, err
}

func (s stubJobs) Get(ctx context.Context, id string, wait time.Duration) (jobs.Record, func(), error) {
	record, err := s.get(ctx, id, wait)
	return record, func() {}, err
}

func (s stubJobs) Describe(ctx context.Context, id string, wait time.Duration) (jobs.Record, error) {
	return s.get(ctx, id, wait)
}

func (s stubJobs) Cancel(_ context.Context, id string) (jobs.Record, func(), error) {
	record, err := s.cancel(id)
	return record, func() {}, err
}

func (stubJobs) Environments(context.Context) ([]jobs.EnvironmentStatus, error) {
	return []jobs.EnvironmentStatus{
		{Workers: 1, Environment: jobs.Environment{
			Name: "default", Description: "The usual.", Python: "3.11.2",
			Packages: []jobs.Package{{Name: "numpy", Version: "2.4.6"}},
		}},
		{Environment: jobs.Environment{Name: "rare"}},
	}, nil
}

// stubLive sends one chunk of output and waits for the end of the watch.
type stubLive struct{}

func (stubLive) Watch(
	ctx context.Context, _ string, _ jobs.Position, _ time.Duration, send func([]jobs.Event) error,
) error {
	if err := send([]jobs.Event{{Output: jobs.OutputChunk{Stream: jobs.Stdout, Text: "live"}}}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// stubFiles has a file for each key: its content.
type stubFiles struct{}

func (stubFiles) Open(_ context.Context, key string) (io.ReadSeekCloser, error) {
	if key == "" {
		return nil, jobs.NotFound("file")
	}
	return &released{strings.NewReader(key), func() {}}, nil
}

// newLocal returns a Local whose jobs are encoded with the fields that the tests use.
func newLocal(t *testing.T, service Jobs) *Local {
	t.Helper()
	local := NewLocal(LocalConfig{
		Jobs: service, Live: stubLive{}, Files: stubFiles{},
		Decode: func(_ context.Context, body []byte) (jobs.Request, error) { return jobs.DecodeRequest(body) },
		Encode: func(_ context.Context, record jobs.Record) api.Job {
			job := api.Job{JobID: record.ID, Status: api.JobStatus(record.State), Entry: string(record.Entry)}
			if o := record.Outcome; o != nil {
				job.Stdout, job.Stderr, job.Result, job.Notes = &o.Stdout, &o.Stderr, o.Result, o.Notes
				for _, file := range o.Files {
					job.Files = append(job.Files, api.OutputFile{
						Name: file.Name, Size: file.Size, MediaType: file.MediaType,
					})
				}
				if f := o.Failure; f != nil {
					job.Code, job.Error, job.Hint = api.ErrorCode(f.Code), f.Message, f.Hint
					job.Traceback, job.Line, job.Text = f.Traceback, f.Line, f.Text
				}
			}
			return job
		},
		Retention: time.Hour, Logger: testLogger(t),
	})
	t.Cleanup(local.drain)
	return local
}

func testLogger(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func ended(outcome jobs.Outcome) jobs.Record {
	return jobs.Record{ID: jobID, State: outcome.State(), Entry: jobs.EntryCell, Outcome: &outcome}
}

// serve serves local over HTTP to the operator, and returns its URL.
func serve(t *testing.T, local *Local) (url string, handler *Handler) {
	t.Helper()
	return serveTo(t, local, jobs.OperatorCaller())
}

// serveTo is serve for another caller.
func serveTo(t *testing.T, local *Local, caller jobs.Caller) (url string, handler *Handler) {
	t.Helper()
	handler = NewHandler(local, Settings{Wait: time.Minute, Logger: testLogger(t)})
	server := httptest.NewServer(asCaller(caller, handler))
	t.Cleanup(server.Close)
	return server.URL, handler
}

// asCaller puts the caller into the context, as the API's middleware does.
func asCaller(caller jobs.Caller, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(jobs.WithCaller(r.Context(), caller)))
	})
}

// connect returns a session with the server at url.
func connect(t *testing.T, url string, options *mcp.ClientOptions) *mcp.ClientSession {
	t.Helper()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, options).Connect(
		t.Context(), &mcp.StreamableClientTransport{Endpoint: url}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	return session
}

// textOfResult returns the text blocks of a result, separated by bars.
func textOfResult(result *mcp.CallToolResult) string {
	var texts []string
	for _, content := range result.Content {
		switch content := content.(type) {
		case *mcp.TextContent:
			texts = append(texts, content.Text)
		case *mcp.ImageContent:
			texts = append(texts, content.MIMEType)
		case *mcp.ResourceLink:
			texts = append(texts, content.URI)
		}
	}
	return strings.Join(texts, "|")
}
