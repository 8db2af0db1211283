package httpapi

import (
	"net/http"
	"net/http/httptest"
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
	url := serve(t, newHandlerWith(t, stubExecute(succeeded(`1`), nil),
		Settings{Token: "t", CORSOrigins: []string{"https://App.Example.org", "http://localhost:3000"}}))
	allowed := preflight(t, url, page, "authorization,content-type,idempotency-key,prefer")
	if allowed.status != http.StatusOK || allowed.header.Get("Access-Control-Allow-Origin") != page ||
		!strings.EqualFold(allowed.header.Get("Access-Control-Allow-Headers"),
			"Authorization, Content-Type, Idempotency-Key, Prefer") ||
		allowed.header.Get("Access-Control-Allow-Methods") != "POST" ||
		allowed.header.Get("Access-Control-Max-Age") != "600" {
		t.Errorf("the preflight: %d %v", allowed.status, allowed.header)
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
	for what, response := range map[string]reply{"preflight": allowed, "response": got, "refusal": refused} {
		if response.header.Get("Access-Control-Allow-Origin") != page ||
			response.header.Get("Access-Control-Allow-Credentials") != "" ||
			!containsFold(response.header.Values("Vary"), "Origin") {
			t.Errorf("%s: %v", what, response.header)
		}
	}
	for _, other := range []string{
		"https://other.example.org", "http://app.example.org", page + ":444", page + ".example.com", "null", "",
	} {
		want := http.StatusForbidden
		if other == "" {
			want = http.StatusOK
		}
		response := post(t, url, script, "Origin", other, "Authorization", "Bearer t")
		if response.status != want || response.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("response for %q: %d %v", other, response.status, response.header)
		}
		response = preflight(t, url, other, "content-type")
		if response.status != http.StatusOK || response.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("preflight for %q: %d %v", other, response.status, response.header)
		}
	}
	if response := preflight(t, url, page, "cookie"); response.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a header that is not allowed: %v", response.header)
	}
}

func TestPagesOfAllOrigins(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{CORSOrigins: []string{"*"}}))
	for what, response := range map[string]reply{
		"preflight": preflight(t, url, page, "content-type"), "response": post(t, url, script, "Origin", page),
	} {
		if response.status != http.StatusOK || response.header.Get("Access-Control-Allow-Origin") != "*" ||
			response.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", what, response.status, response.header)
		}
	}
}

func TestNoOriginIsAllowedByDefault(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandler(t, stubJobs{}))
	refused := post(t, url, script, "Origin", page)
	wantResponse(t, refused, http.StatusForbidden, jobs.CodeCrossOrigin)
	for what, response := range map[string]reply{
		"preflight": preflight(t, url, page, "content-type"), "refusal": refused,
		"response": send(t, http.MethodGet, url+"/jobs/"+jobID, "", "Origin", page),
	} {
		if response.status >= 300 && what != "refusal" ||
			response.header.Get("Access-Control-Allow-Origin") != "" || response.header.Get("Vary") != "" {
			t.Errorf("%s: %d %v", what, response.status, response.header)
		}
	}
}

// A page can send a form to a service on the same machine without a preflight request, although it cannot read the
// response.
func TestUnsafeCrossOriginRequestsAreRefused(t *testing.T) {
	t.Parallel()
	const boundary = "b"
	form := "--b\r\nContent-Disposition: form-data; name=\"script\"\r\n\r\ndef main(): pass\r\n--b--\r\n"
	for name, c := range map[string]struct {
		origins []string
		headers []string
		status  int
	}{
		"client without a browser": {status: 200},
		"page of another site": {
			headers: []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}, status: 403,
		},
		"page of the same site":  {headers: []string{"Origin", page, "Sec-Fetch-Site", "same-site"}, status: 403},
		"page in an old browser": {headers: []string{"Origin", page}, status: 403},
		"page of a file":         {headers: []string{"Origin", "null"}, status: 403},
		"page of the service": {
			headers: []string{"Origin", page, "Sec-Fetch-Site", "same-origin"}, status: 200,
		},
		"address bar":               {headers: []string{"Sec-Fetch-Site", "none"}, status: 200},
		"page of an allowed origin": {[]string{page}, []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}, 200},
		"another, with an allowed one": {
			[]string{page}, []string{"Origin", "https://b.example", "Sec-Fetch-Site", "cross-site"}, 403,
		},
		"any page, with all allowed": {[]string{"*"}, []string{"Origin", page, "Sec-Fetch-Site", "cross-site"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, newHandlerWith(t, stubJobs{}, Settings{CORSOrigins: c.origins}))
			headers := append([]string{"Content-Type", "multipart/form-data; boundary=" + boundary}, c.headers...)
			code := jobs.Code("")
			if c.status == http.StatusForbidden {
				code = jobs.CodeCrossOrigin
			}
			got := send(t, http.MethodPost, url+"/execute", form, headers...)
			wantResponse(t, got, c.status, code)
			loadContract(t).check(t, http.MethodPost, url+"/execute", form, got, true, headers...)
			wantResponse(t, send(t, http.MethodDelete, url+"/jobs/"+jobID, "", c.headers...), c.status, code)
			wantResponse(t, send(t, http.MethodGet, url+"/jobs/"+jobID, "", c.headers...), http.StatusOK, "")
		})
	}
}

// A page that binds its own name to the API's address has the API's origin for the browser.
func TestHostsOfTheAPI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings Settings
		host     string
		allowed  bool
	}{
		"localhost":              {Settings{}, "localhost:8080", true},
		"an address":             {Settings{}, "192.0.2.1:8080", true},
		"no host, by HTTP/1.0":   {Settings{}, "", true},
		"a name":                 {Settings{}, "rebound.example:8080", false},
		"a name of ours":         {Settings{AllowedHosts: []string{"api", "Cellblock.Example.org"}}, "api:8080", true},
		"another":                {Settings{AllowedHosts: []string{"api"}}, "rebound.example", false},
		"any":                    {Settings{AllowedHosts: []string{"*"}}, "rebound.example", true},
		"the name in API_ADDR":   {Settings{Addr: "machine:8080"}, "machine:8080", true},
		"with a token":           {Settings{Token: "t", AllowedHosts: []string{"api"}}, "cellblock.example.org", true},
		"with all origins named": {Settings{CORSOrigins: []string{"*"}}, "rebound.example", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := newHandlerWith(t, stubJobs{}, c.settings)
			for _, request := range []struct{ method, path, body string }{
				{http.MethodPost, "/execute", script},
				{http.MethodDelete, "/jobs/" + jobID, ""},
				{http.MethodGet, "/jobs/" + jobID, ""},
				{http.MethodGet, "/jobs", ""},
				{http.MethodGet, "/docs", ""},
				{http.MethodGet, "/healthz", ""},
				{http.MethodGet, "/metrics", ""},
			} {
				r := httptest.NewRequestWithContext(t.Context(), request.method, request.path,
					strings.NewReader(request.body))
				r.Host = c.host
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				r.Header.Set("Authorization", "Bearer "+c.settings.Token)
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if (w.Code < 300) != c.allowed {
					t.Errorf("%s %s: %d %s", request.method, request.path, w.Code, w.Body)
				}
				if !c.allowed && (w.Code != http.StatusForbidden ||
					!strings.Contains(w.Body.String(), `"code":"host_not_allowed"`) ||
					!strings.Contains(w.Body.String(), "not in ALLOWED_HOSTS: add it there, or use an IP address")) {
					t.Errorf("%s %s: %d %s", request.method, request.path, w.Code, w.Body)
				}
			}
		})
	}
}

// No page of another origin can embed a response, and so learn from it how large an image is, or whether it exists.
func TestResponsesAreNotEmbedded(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{Token: "t"}))
	for _, path := range []string{"/jobs/" + jobID, "/docs", "/healthz"} {
		got := send(t, http.MethodGet, url+path, "").header.Get("Cross-Origin-Resource-Policy")
		if got != "same-origin" {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func TestOriginsAreChecked(t *testing.T) {
	t.Parallel()
	for origins, want := range map[string]string{
		"": "", "*": "", "https://app.example.org": "", "http://localhost:3000,https://[2001:db8::1]:8443": "",
		"*,https://app.example.org": "includes", "https://*.example.org": "pattern", "app.example.org": "no origin",
		"https://app.example.org/": "no origin", "https://app.example.org/app": "no origin", "null": "no origin",
		"https://": "no origin", "https://user@app.example.org": "no origin", "HTTPS://app.example.org": "no origin",
	} {
		settings := Settings{ShutdownTimeout: time.Second, MaxConnections: leastConnections}
		if origins != "" {
			settings.CORSOrigins = strings.Split(origins, ",")
		}
		err := settings.Validate()
		if (err == nil) != (want == "") ||
			err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "CORS_ORIGINS")) {
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
