package httpapi

import (
	"encoding/json"
	"testing"

	"cellblock/internal/jobs"
)

func decode(t *testing.T, body string) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal([]byte(body), &fields); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return fields
}

// wantAnswer checks the status and, in a JSON body, the code ("" for none),
// and what every answer has.
func wantAnswer(t *testing.T, got reply, status int, code jobs.Code) {
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
