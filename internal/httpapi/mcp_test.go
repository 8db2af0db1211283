package httpapi

import (
	"io"
	"net/http"
	"strings"
	"testing"

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
