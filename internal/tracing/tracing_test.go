package tracing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"cellblock/internal/jobs"
)

// setenv sets variables OTEL_* and clears those of the machine.
func setenv(t *testing.T, values ...string) {
	t.Helper()
	for _, name := range []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL",
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED",
	} {
		t.Setenv(name, "")
	}
	for i := 0; i < len(values); i += 2 {
		t.Setenv(values[i], values[i+1])
	}
}

func TestSettings(t *testing.T) {
	const endpoint, protocol = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
	for _, c := range []struct {
		env  []string
		want settings
		err  string
	}{
		{nil, settings{}, ""},
		{[]string{endpoint, "http://c:4318"}, settings{"http://c:4318", "http/protobuf"}, ""},
		{
			[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://u:secret@c/v1/traces?key=secret"},
			settings{"https://c", "http/protobuf"},
			"",
		},
		{[]string{endpoint, "http://c:4317", protocol, "grpc"}, settings{"http://c:4317", "grpc"}, ""},
		{
			[]string{endpoint, "http://c", protocol, "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"},
			settings{"http://c", "http/json"},
			"",
		},
		{[]string{endpoint, "http://c", "OTEL_SDK_DISABLED", "TRUE"}, settings{}, ""},
		{[]string{endpoint, "http://c", "OTEL_TRACES_EXPORTER", "none"}, settings{}, ""},
		{[]string{endpoint, "http://c", "OTEL_TRACES_EXPORTER", "zipkin"}, settings{}, `is "zipkin"; otlp`},
		{[]string{endpoint, "http://c", protocol, "thrift"}, settings{}, "http/protobuf, http/json"},
		{[]string{endpoint, "c:4318"}, settings{}, "must be a URL"},
		{[]string{endpoint, "secret\x7f://"}, settings{}, "must be a URL"},
	} {
		setenv(t, c.env...)
		got, err := readSettings()
		if got != c.want || (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) ||
			err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %+v, %v", c.env, got, err)
		}
	}
}

// TestWithoutATracer: nil does nothing, and makes no other logger.
func TestWithoutATracer(t *testing.T) {
	setenv(t)
	logger := slog.New(slog.DiscardHandler)
	tracer, err := Open(t.Context(), "test", "1", logger)
	if tracer != nil || err != nil {
		t.Fatal(tracer, err)
	}
	if tracer.Logger(logger) != logger {
		t.Error("there is another logger")
	}
	tracer.WatchRedis(nil)
	tracer.Close()
}

// grpcReceiver counts spans that arrive by gRPC.
type grpcReceiver struct {
	collector.UnimplementedTraceServiceServer

	spans atomic.Int64
}

// Export implements the service.
func (r *grpcReceiver) Export(
	_ context.Context, request *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			r.spans.Add(int64(len(scope.Spans)))
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestGRPC(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, receiver := grpc.NewServer(), &grpcReceiver{}
	collector.RegisterTraceServiceServer(server, receiver)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	setenv(t, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	tracer, err := Open(t.Context(), "test", "1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, _, end := tracer.StartSend(t.Context(), jobs.Job{ID: "a"})
	end(nil)
	tracer.Close()
	if n := receiver.spans.Load(); n != 1 {
		t.Errorf("%d spans arrived", n)
	}
}

// TestRefusalsOfTheCollectorAreLoggedOnce: and so is what the SDK itself cannot follow.
func TestRefusalsOfTheCollectorAreLoggedOnce(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	setenv(t, "OTEL_EXPORTER_OTLP_ENDPOINT", server.URL, "OTEL_BSP_SCHEDULE_DELAY", "60000")
	var log bytes.Buffer
	tracer, err := Open(t.Context(), "test", "1", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, _, end := tracer.StartSend(t.Context(), jobs.Job{ID: "a"})
		end(nil)
		if err := tracer.provider.ForceFlush(t.Context()); err == nil {
			t.Error("no error")
		} else {
			otel.Handle(err)
		}
	}
	tracer.Close()
	if n := strings.Count(log.String(), "exporting traces failed"); n != 1 {
		t.Errorf("%d lines in\n%s", n, log.String())
	}
}

func TestFailuresAreCounted(t *testing.T) {
	t.Parallel()
	f, now := newFailures(slog.New(slog.DiscardHandler)), time.Unix(1000, 0)
	for i, c := range []struct {
		after time.Duration
		left  int
		due   bool
	}{
		{0, 0, true}, {time.Second, 0, false}, {time.Second, 0, false}, {time.Minute, 2, true}, {time.Second, 0, false},
	} {
		now = now.Add(c.after)
		if left, due := f.take(now); left != c.left || due != c.due {
			t.Errorf("%d: %d, %v", i, left, due)
		}
	}
}

// TestStatusIsThatOfTheService: which codes are failures of the service.
func TestStatusIsThatOfTheService(t *testing.T) {
	t.Parallel()
	for _, code := range jobs.OutcomeCodes() {
		isService := code == jobs.CodeInternal || code == jobs.CodeWorkerLost || code == jobs.CodeUnavailable ||
			code == jobs.CodeNotStarted
		if slices.Contains(serviceCodes, code) != isService {
			t.Errorf("is %s a failure of the service?", code)
		}
	}
}

func TestIDsInLogs(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := slog.New(idHandler{slog.NewTextHandler(&log, nil)})
	tracer := &Tracer{}
	ctx := tracer.within(t.Context(), jobs.TraceContext{
		Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	})
	logger.With("a", 1).InfoContext(ctx, "with", "error", errors.New("x"))
	logger.InfoContext(t.Context(), "without")
	got := log.String()
	if !strings.Contains(got, "a=1 error=x trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7\n") ||
		!strings.Contains(got, "msg=without\n") {
		t.Errorf("got %s", got)
	}
}

// BenchmarkJob is what a tracer costs for the spans of a job, in the process alone.
func BenchmarkJob(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	tracer, err := Open(b.Context(), "test", "1", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer tracer.Close()
	job := jobs.Job{ID: jobs.NewID(), Tenant: jobs.Operator}
	b.ReportAllocs()
	for b.Loop() {
		_, trace, sent := tracer.StartSend(b.Context(), job)
		sent(nil)
		job.Trace = trace
		ctx, end := tracer.StartJob(b.Context(), job, time.Now(), 0)
		for _, step := range []string{"prepare", "run", "store"} {
			_, endStep := tracer.StartStep(ctx, step)
			endStep(nil)
		}
		end(nil)
	}
}
