package api

import (
	"net/http"
	"strings"
	"testing"

	"cellblock/internal/redistest"
)

// post sends a request with a key, and returns the response with its body.
func (r *running) post(
	t *testing.T, key, path, mediaType, body string,
) (status int, header http.Header, answer string) {
	t.Helper()
	return r.send(t, http.MethodPost, path, body, "Authorization", "Bearer "+key, "Content-Type", mediaType,
		"Accept", "application/json, text/event-stream")
}

// TestLimitsOfATenantAtEachDoor uses every way to make jobs with a key whose tenant may have one open job.
func TestLimitsOfATenantAtEachDoor(t *testing.T) {
	r := start(t, redistest.Start(t), func(s *Settings) {
		s.HTTP.Token, s.HTTP.MCP = "operators-secret", true
		s.Tenants.OpenJobs = 1
	})
	acme := r.createKey(t, "/admin/keys", `{"tenant":"acme","scopes":["run","read"]}`).Key
	const job, async = `{"script":"x = 1","entry":"script"}`, `{"script":"x = 1","entry":"script","async":true}`
	if status, _, answer := r.post(t, acme, "/execute", "application/json", async); status != 202 {
		t.Fatalf("%d %s", status, answer)
	}
	form := "--b\r\nContent-Disposition: form-data; name=\"script\"\r\n\r\nx = 1\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"entry\"\r\n\r\nscript\r\n--b--\r\n"
	call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"run_python","arguments":{"code":"1"}}}`
	for _, door := range []struct {
		path, mediaType, body string
		status                int
		says                  string
	}{
		{"/execute", "application/json", job, 429, `"code":"quota_exceeded"`},
		{"/execute", "application/json", async, 429, `"limit":{"name":"open_jobs","value":1,"unit":"count"}`},
		{"/execute", "multipart/form-data; boundary=b", form, 429, `"code":"quota_exceeded"`},
		{"/batches", "application/x-ndjson", job + "\n" + job + "\n", 429, `"code":"quota_exceeded"`},
		{
			"/compat/sandboxfusion/run_code", "application/json", `{"code":"1","language":"python"}`, 504,
			"your tenant has 1 of at most 1 jobs",
		},
		{"/mcp", "application/json", call, 200, "quota_exceeded"},
	} {
		status, header, answer := r.post(t, acme, door.path, door.mediaType, door.body)
		if status != door.status || !strings.Contains(answer, door.says) ||
			door.status != 200 && header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", door.path, status, answer)
		}
	}
	// Neither the operator nor a key with a number of its own has that limit.
	own := r.createKey(t, "/admin/keys", `{"tenant":"beta","scopes":["run"],"limits":{"open_jobs":2}}`).Key
	for range 2 {
		for _, key := range []string{own, "operators-secret"} {
			if status, _, answer := r.post(t, key, "/execute", "application/json", async); status != 202 {
				t.Errorf("%d %s", status, answer)
			}
		}
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}

// TestRequestsOfATenantAreCounted counts those of two keys of one tenant together.
func TestRequestsOfATenantAreCounted(t *testing.T) {
	r := start(t, redistest.Start(t), func(s *Settings) {
		s.HTTP.Token = "operators-secret"
		s.Tenants.RequestsPerSecond, s.Tenants.Burst = 0.01, 3
	})
	keys := []string{}
	for range 2 {
		keys = append(keys, r.createKey(t, "/admin/keys", `{"tenant":"acme","scopes":["read"]}`).Key)
	}
	for i, want := range []int{200, 200, 200, 429, 429} {
		status, answer := r.ask(t, keys[i%2], http.MethodGet, "/jobs", "")
		if status != want || want == 429 && !strings.Contains(answer, `"code":"rate_limited"`) {
			t.Errorf("request %d: %d %s", i, status, answer)
		}
	}
	if status, answer := r.ask(t, keys[0], http.MethodGet, "/healthz", ""); status != 200 {
		t.Errorf("a probe: %d %s", status, answer)
	}
	for range 5 {
		if status, answer := r.ask(t, "operators-secret", http.MethodGet, "/jobs", ""); status != 200 {
			t.Errorf("the operator: %d %s", status, answer)
		}
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}
