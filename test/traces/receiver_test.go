package traces

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"cellblock/test/stack"
)

// span is a span as the receiver got it.
type span struct {
	*tracepb.Span
	// Resource has the attributes of the process.
	Resource map[string]string
}

func (s span) id() string     { return hex.EncodeToString(s.SpanId) }
func (s span) parent() string { return hex.EncodeToString(s.ParentSpanId) }
func (s span) trace() string  { return hex.EncodeToString(s.TraceId) }
func (s span) start() time.Time {
	return time.Unix(0, int64(s.StartTimeUnixNano))
}
func (s span) end() time.Time { return time.Unix(0, int64(s.EndTimeUnixNano)) }

// get returns an attribute as text, "" if it is missing.
func (s span) get(name string) string { return texts(s.Attributes)[name] }

func (s span) failed() bool { return s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR }

func texts(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, attribute := range attributes {
		switch value := attribute.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[attribute.Key] = value.StringValue
		case *common.AnyValue_IntValue:
			all[attribute.Key] = fmt.Sprint(value.IntValue)
		default:
			all[attribute.Key] = attribute.Value.String()
		}
	}
	return all
}

// receiver receives spans by OTLP over HTTP.
type receiver struct {
	*httptest.Server

	mu    sync.Mutex
	spans []span
	// raw has all bytes that arrived.
	raw     bytes.Buffer
	changed chan struct{}
}

func newReceiver() *receiver {
	r := &receiver{changed: make(chan struct{})}
	r.Server = httptest.NewServer(http.HandlerFunc(r.receive))
	return r
}

func (r *receiver) receive(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var message collector.ExportTraceServiceRequest
	if err != nil || request.URL.Path != "/v1/traces" || proto.Unmarshal(body, &message) != nil {
		http.Error(w, "not a request to export traces", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.raw.Write(body)
	for _, resource := range message.ResourceSpans {
		of := texts(resource.Resource.Attributes)
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				r.spans = append(r.spans, span{s, of})
			}
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// of returns the spans of a trace so far, in the order of their starts, and a channel that is closed when more arrive.
func (r *receiver) of(trace string) (spans []span, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.trace() == trace {
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.start().Compare(b.start()) })
	return spans, r.changed
}

// checkRoots returns an error for a trace that no request began, such as of a worker that looks for jobs.
func (r *receiver) checkRoots() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.parent() == "" && s.Kind != tracepb.Span_SPAN_KIND_SERVER {
			return fmt.Errorf("a trace begins with %s", describe([]span{s}))
		}
	}
	return nil
}

// has reports whether a text has arrived, in any part of a span.
func (r *receiver) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.raw.Bytes(), []byte(text))
}

// await returns the spans of a trace once there are as many of each name as want has.
func (r *receiver) await(t *testing.T, trace string, want map[string]int) []span {
	t.Helper()
	timeout := time.After(stack.Scaled(30 * time.Second))
	for {
		spans, changed := r.of(trace)
		missing := ""
		for name, n := range want {
			if len(named(spans, name)) < n {
				missing = name
			}
		}
		if missing == "" {
			return spans
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("the trace %s has no %q; it has\n%s", trace, missing, describe(spans))
		}
	}
}

func named(spans []span, name string) []span {
	return slices.DeleteFunc(slices.Clone(spans), func(s span) bool { return s.Name != name })
}

// one returns the only span of a name.
func one(t *testing.T, spans []span, name string) span {
	t.Helper()
	found := named(spans, name)
	if len(found) != 1 {
		t.Fatalf("%d spans are named %q in\n%s", len(found), name, describe(spans))
	}
	return found[0]
}

// describe returns a line for each span.
func describe(spans []span) string {
	var b strings.Builder
	for _, s := range spans {
		fmt.Fprintf(&b, "%s %s %s of %s, %s to %s, %v\n", s.Kind, s.Name, s.id(), s.parent(),
			s.start().Format("05.000000"), s.end().Format("05.000000"), texts(s.Attributes))
	}
	return b.String()
}
