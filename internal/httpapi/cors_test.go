package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
)

const page = "https://app.example.org"

// preflight sends a browser's preflight request for a job.
func preflight(t *testing.T, url, origin, headers string) reply {
	t.Helper()
	return send(t, http.MethodOptions, url+"/execute", "",
		"Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", headers)
}

func TestPagesOfAllowedOrigins(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, executing(succeeded(`1`), nil), Settings{Token: "t", CORSOrigins: []string{page, "http://localhost:3000"}}))
	asked := preflight(t, url, page, "authorization,content-type,idempotency-key,prefer")
	if asked.status != http.StatusOK || asked.header.Get("Access-Control-Allow-Origin") != page ||
		!strings.EqualFold(asked.header.Get("Access-Control-Allow-Headers"), "Authorization, Content-Type, Idempotency-Key, Prefer") ||
		asked.header.Get("Access-Control-Allow-Methods") != "POST" || asked.header.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("the preflight: %d %v", asked.status, asked.header)
	}
	got := post(t, url, script, "Origin", page, "Authorization", "Bearer t")
	wantResponse(t, got, http.StatusOK, "")
	exposed := strings.Split(got.header.Get("Access-Control-Expose-Headers"), ", ")
	for _, name := range []string{"Location", "Retry-After", "X-Request-Id", "Etag", "Preference-Applied"} {
		if !containsFold(exposed, name) {
			t.Errorf("%s is not exposed: %q", name, exposed)
		}
	}
	// A page must be able to read why it was refused.
	refused := post(t, url, script, "Origin", page)
	wantResponse(t, refused, http.StatusUnauthorized, jobs.CodeUnauthorized)
	for what, answer := range map[string]reply{"preflight": asked, "answer": got, "refusal": refused} {
		if answer.header.Get("Access-Control-Allow-Origin") != page || answer.header.Get("Access-Control-Allow-Credentials") != "" ||
			!containsFold(answer.header.Values("Vary"), "Origin") {
			t.Errorf("%s: %v", what, answer.header)
		}
	}
	for _, other := range []string{"https://other.example.org", "http://app.example.org", page + ":444", page + ".example.com", "null", ""} {
		for what, answer := range map[string]reply{
			"preflight": preflight(t, url, other, "content-type"), "answer": post(t, url, script, "Origin", other, "Authorization", "Bearer t"),
		} {
			if answer.status != http.StatusOK || answer.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s for %q: %d %v", what, other, answer.status, answer.header)
			}
		}
	}
	if answer := preflight(t, url, page, "cookie"); answer.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a header that is not allowed: %v", answer.header)
	}
}

func TestPagesOfAllOrigins(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{CORSOrigins: []string{"*"}}))
	for what, answer := range map[string]reply{"preflight": preflight(t, url, page, "content-type"), "answer": post(t, url, script, "Origin", page)} {
		if answer.status != http.StatusOK || answer.header.Get("Access-Control-Allow-Origin") != "*" || answer.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", what, answer.status, answer.header)
		}
	}
}

func TestNoPagesByDefault(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
	for what, answer := range map[string]reply{"preflight": preflight(t, url, page, "content-type"), "answer": post(t, url, script, "Origin", page)} {
		if answer.status >= 300 || answer.header.Get("Access-Control-Allow-Origin") != "" || answer.header.Get("Vary") != "" {
			t.Errorf("%s: %d %v", what, answer.status, answer.header)
		}
	}
}

func TestOriginsAreChecked(t *testing.T) {
	t.Parallel()
	for origins, want := range map[string]string{
		"": "", "*": "", "https://app.example.org": "", "http://localhost:3000,https://[2001:db8::1]:8443": "",
		"*,https://app.example.org": "includes", "https://*.example.org": "pattern", "app.example.org": "no origin", "https://app.example.org/": "no origin",
		"https://app.example.org/app": "no origin", "null": "no origin", "https://": "no origin", "https://user@app.example.org": "no origin", "HTTPS://app.example.org": "no origin",
	} {
		settings := Settings{ShutdownTimeout: time.Second}
		if origins != "" {
			settings.CORSOrigins = strings.Split(origins, ",")
		}
		err := settings.Validate()
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "CORS_ORIGINS")) {
			t.Errorf("%q: %v", origins, err)
		}
	}
}

func containsFold(all []string, name string) bool {
	for _, each := range all {
		if strings.EqualFold(each, name) {
			return true
		}
	}
	return false
}
