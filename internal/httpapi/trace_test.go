package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"cellblock/internal/jobs"
)

const traceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// TestTraceOfARequestWithoutATracer: it travels on with the job, if it is valid.
func TestTraceOfARequestWithoutATracer(t *testing.T) {
	t.Parallel()
	var got jobs.TraceContext
	h := newHandler(t, stubJobs{
		submit: func(ctx context.Context, _ jobs.Request, _ string) (string, error) {
			got = jobs.TraceOf(ctx)
			return jobID, nil
		},
	})
	url := serve(t, h) + "/execute"
	for _, c := range []struct {
		headers []string
		want    jobs.TraceContext
	}{
		{[]string{"traceparent", traceParent}, jobs.TraceContext{Parent: traceParent}},
		{
			[]string{"TraceParent", traceParent, "tracestate", "a=b", "tracestate", "c=d"},
			jobs.TraceContext{Parent: traceParent, State: "a=b,c=d"},
		},
		{[]string{"traceparent", traceParent, "traceparent", traceParent}, jobs.TraceContext{}},
		{[]string{"traceparent", "x"}, jobs.TraceContext{}},
		{nil, jobs.TraceContext{}},
	} {
		got = jobs.TraceContext{Parent: "not called"}
		body := `{"script":"x","async":true}`
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(c.headers); i += 2 {
			request.Header.Add(c.headers[i], c.headers[i+1])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got != c.want {
			t.Errorf("%v: %+v", c.headers, got)
		}
	}
}

// TestRequestsWithoutATraceCostNothing: what a request costs without a tracer.
func TestRequestsWithoutATraceCostNothing(t *testing.T) {
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/execute", http.NoBody)
	if n := testing.AllocsPerRun(100, func() {
		if withTrace(request) != request {
			t.Error("it is another request")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
