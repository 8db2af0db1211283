package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"cellblock/internal/webui"
)

// TestPagesNeedNoToken requests the pages of a service that asks for one, and paths beside them.
func TestPagesNeedNoToken(t *testing.T) {
	t.Parallel()
	pages, err := webui.New()
	if err != nil {
		t.Fatal(err)
	}
	h := newHandlerWith(t, stubJobs{}, Settings{Token: "secret"})
	h.pages = pages
	h.router = h.routes()
	url := serve(t, h)
	for path, want := range map[string]string{
		"/": "Cellblock</title>", "/console": "Cellblock</title>", "/ui/playground.js": "Cellblock",
		"/ui/licenses.txt": "MIT", "/ui/frame.html": "<body>",
	} {
		got := send(t, http.MethodGet, url+path, "")
		if got.status != http.StatusOK || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %.100s", path, got.status, got.body)
		}
		if got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: the headers are %v", path, got.header)
		}
		head := send(t, http.MethodHead, url+path, "")
		if head.status != http.StatusOK || head.body != "" {
			t.Errorf("HEAD %s: %d %.100s", path, head.status, head.body)
		}
		wantResponse(t, send(t, http.MethodPost, url+path, ""), http.StatusMethodNotAllowed, "method_not_allowed")
	}
	if page := send(t, http.MethodGet, url+"/console/", ""); page.status != http.StatusOK ||
		!strings.Contains(page.body, "Cellblock</title>") {
		t.Errorf("/console/: %d %.100s", page.status, page.body)
	}
	for _, path := range []string{"/ui/", "/ui/none", "/ui/a/b", "/ui/..%2fwebui.go"} {
		wantResponse(t, send(t, http.MethodGet, url+path, ""), http.StatusNotFound, "not_found")
	}
	wantResponse(t, send(t, http.MethodGet, url+"/console/x", ""), http.StatusUnauthorized, "unauthorized")
}

// TestPagesVaryByOrigin requests a page from one that CORS_ORIGINS names: a cache must not send others that response.
func TestPagesVaryByOrigin(t *testing.T) {
	t.Parallel()
	pages, err := webui.New()
	if err != nil {
		t.Fatal(err)
	}
	h := newHandlerWith(t, stubJobs{}, Settings{CORSOrigins: []string{"https://app.example.org"}})
	h.pages = pages
	h.router = h.routes()
	url := serve(t, h)
	for _, path := range []string{"/", "/ui/console.js"} {
		got := send(t, http.MethodGet, url+path, "", "Origin", "https://app.example.org")
		vary := strings.Join(got.header.Values("Vary"), ", ")
		if got.header.Get("Access-Control-Allow-Origin") == "" || !strings.Contains(vary, "Origin") ||
			!strings.Contains(vary, "Accept-Encoding") {
			t.Errorf("%s varies by %q: %v", path, vary, got.header)
		}
	}
}

// TestWithoutPages requests what UI=off takes away.
func TestWithoutPages(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{}))
	for _, path := range []string{"/console", "/console/", "/ui/playground.js"} {
		wantResponse(t, send(t, http.MethodGet, url+path, ""), http.StatusNotFound, "not_found")
	}
}
