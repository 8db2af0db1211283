package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

// TestMCPRouteIsCheckedLikeTheOthers: what passes reaches the MCP server whole.
func TestMCPRouteIsCheckedLikeTheOthers(t *testing.T) {
	t.Parallel()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	logger := testLogger(t)
	h := New(stubJobs{}, Config{
		Settings: Settings{Token: "secret"}, Limits: jobs.DefaultLimits(), MCP: echo,
		Metrics: telemetry.NewAPIMetrics(nil, logger), Logger: logger,
	})
	t.Cleanup(h.Drain)
	url := serve(t, h) + "/mcp"
	valid := []string{"Authorization", "Bearer secret", "Content-Type", "application/json"}
	for _, tc := range []struct {
		name, method, url, body string
		headers                 []string
		status                  int
		want                    string
	}{
		{"a message", "POST", url, `{"id":1}`, valid, 200, `{"id":1}`},
		{"no token", "POST", url, `{}`, valid[2:], 401, `"code":"unauthorized"`},
		{"a page", "POST", url, `{}`, append(valid, "Origin", "https://evil.example"), 403, `"code":"cross_origin"`},
		{"a query", "POST", url + "?x=1", `{}`, valid, 400, "POST /mcp takes none"},
		{"a batch", "POST", url, " \n[{}]", valid, 400, "batches are not accepted"},
		{
			"a form", "POST", url, "", append(valid[:2:2], "Content-Type", "multipart/form-data; boundary=x"), 415,
			"must be application/json",
		},
		{"too large", "POST", url, strings.Repeat(" ", jobs.MaxRequestBytes+1), valid, 413, `"code":"input_too_large"`},
		{"GET", "GET", url, "", valid, 405, `"code":"method_not_allowed"`},
	} {
		got := send(t, tc.method, tc.url, tc.body, tc.headers...)
		if got.status != tc.status || !strings.Contains(strings.ToLower(got.body), strings.ToLower(tc.want)) {
			t.Errorf("%s: %d %.200s", tc.name, got.status, got.body)
		}
	}
	if got := send(t, "POST", serve(t, newHandler(t, stubJobs{}))+"/mcp", `{}`); got.status != http.StatusNotFound {
		t.Errorf("without the MCP server: %d", got.status)
	}
}

// TestOneClientLeavesMemoryForMCPToOthers: calls that wait for a job hold their bodies, and are not cut.
func TestOneClientLeavesMemoryForMCPToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const large, small = jobs.MaxRequestBytes, 100
		end := make(chan struct{})
		logger := testLogger(t)
		h := New(stubJobs{}, Config{
			MCP:     http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }),
			Metrics: telemetry.NewAPIMetrics(nil, logger), Logger: logger,
		})
		var calls sync.WaitGroup
		call := func(client string, length int64) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, bubbleURL+"/mcp", strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			r.RemoteAddr, r.ContentLength = client+":1", length
			response := httptest.NewRecorder()
			calls.Go(func() { h.ServeHTTP(response, r) })
			return response
		}
		var many []*httptest.ResponseRecorder
		for range 2 * maxMCPBodies / large {
			many = append(many, call("192.0.2.1", large))
		}
		synctest.Wait()
		others := []*httptest.ResponseRecorder{
			call("192.0.2.1", small), call("192.0.2.2", small), call("192.0.2.2", large),
		}
		time.Sleep(2 * bodyMemoryTimeout)
		close(end)
		calls.Wait()
		refused := 0
		for _, response := range many {
			if response.Code == http.StatusServiceUnavailable {
				refused++
			}
		}
		if want := len(many) * 3 / 4; refused != want {
			t.Errorf("%d of %d large ones of one client were refused, want %d", refused, len(many), want)
		}
		for i, response := range others {
			if response.Code != http.StatusOK {
				t.Errorf("call %d beside them: %d %s", i, response.Code, response.Body)
			}
		}
	})
}

// TestMCPAnswerArrivesLongAfterTheFirstProgress: the first event begins the response, and its deadline passes.
func TestMCPAnswerArrivesLongAfterTheFirstProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		logger := testLogger(t)
		h := New(stubJobs{}, Config{
			SyncWait: 5 * time.Minute, Metrics: telemetry.NewAPIMetrics(nil, logger), Logger: logger,
			MCP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for _, event := range []string{"progress ", "answer"} {
					if _, err := io.WriteString(w, event); err != nil {
						t.Errorf("%s: %v", event, err)
					}
					if err := http.NewResponseController(w).Flush(); err != nil {
						t.Errorf("flush of %s: %v", event, err)
					}
					if event != "answer" {
						time.Sleep(2 * responseTimeout)
					}
				}
			}),
		})
		request := newRequest(t.Context(), t, http.MethodPost, bubbleURL+"/mcp", strings.NewReader("{}"),
			"Content-Type", "application/json")
		got := doWith(t, serveInBubble(t, h), request)
		if got.status != http.StatusOK || got.body != "progress answer" {
			t.Errorf("%d %q", got.status, got.body)
		}
	})
}
