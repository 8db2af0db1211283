package webui

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// get requests a path with headers, each NAME: VALUE, and returns the response; found is what Serve reports.
func get(t *testing.T, path string, headers ...string) (response *httptest.ResponseRecorder, found bool) {
	t.Helper()
	pages, err := New()
	if err != nil {
		t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Add(name, value)
	}
	response = httptest.NewRecorder()
	return response, pages.Serve(response, request)
}

func read(t *testing.T, body io.Reader) string {
	t.Helper()
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestPagesNeedOnlyThisServer requests each page and all that its HTML and styles refer to.
func TestPagesNeedOnlyThisServer(t *testing.T) {
	t.Parallel()
	reference := regexp.MustCompile(`(?:(?:src|href)="|url\()([^")]*)`)
	for _, path := range []string{"/", "/console", "/ui/frame.html", "/ui/playground.css", "/ui/console.css"} {
		response, found := get(t, path)
		if !found || response.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, response.Code)
		}
		body := read(t, response.Body)
		if strings.HasSuffix(path, ".css") == strings.Contains(body, "<html") {
			t.Errorf("%s has the wrong content: %.100s", path, body)
		}
		for _, match := range reference.FindAllStringSubmatch(body, -1) {
			if match[1] == "/docs" || strings.HasPrefix(match[1], "data:") {
				continue
			}
			if _, found := get(t, match[1]); !found || !strings.HasPrefix(match[1], "/ui/") {
				t.Errorf("%s needs %s", path, match[1])
			}
		}
		if inline := regexp.MustCompile(`<script>|\son\w+=|javascript:`).FindString(body); inline != "" {
			t.Errorf("%s has %s", path, inline)
		}
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/console", "/ui/playground.js", "/ui/icon.svg"} {
		response, _ := get(t, path)
		policy := response.Header().Get("Content-Security-Policy")
		for _, part := range []string{
			"default-src 'none'; script-src 'self'; style-src 'self';", "frame-ancestors 'none'",
			"trusted-types 'none'",
		} {
			if !strings.Contains(policy, part) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, part)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
	}
	response, _ := get(t, "/ui/frame.html")
	policy := response.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "sandbox allow-scripts; default-src 'none';") ||
		strings.Contains(policy, "allow-same-origin") || !strings.HasSuffix(policy, "frame-ancestors 'self'") {
		t.Errorf("the frame's policy is %q", policy)
	}
}

func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/ui/", "/ui/none.js", "/ui/../webui.go", "/ui/dist", "/playground.html", "/ui//"} {
		if response, found := get(t, path); found || len(response.Header()) > 0 {
			t.Errorf("%s is served with %v", path, response.Header())
		}
	}
}

func TestCompression(t *testing.T) {
	t.Parallel()
	plain, _ := get(t, "/ui/console.js")
	want := read(t, plain.Body)
	for accepted, compressed := range map[string]bool{
		"gzip": true, "br, GZIP ;q=0.5": true, "deflate, gzip;q=1.0": true,
		"gzip;q=0": false, "gzip;q=": false, "br": false, "x-gzip": false, "": false,
	} {
		response, _ := get(t, "/ui/console.js", "Accept-Encoding: "+accepted)
		if got := response.Header().Get("Content-Encoding") == "gzip"; got != compressed {
			t.Errorf("%q: compressed is %v", accepted, got)
			continue
		}
		body := io.Reader(response.Body)
		if compressed {
			reader, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = reader
		}
		if got := read(t, body); got != want {
			t.Errorf("%q: another content, of %d bytes", accepted, len(got))
		}
		if response.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Vary is %q", accepted, response.Header().Get("Vary"))
		}
	}
}

func TestRevalidation(t *testing.T) {
	t.Parallel()
	first, _ := get(t, "/", "Accept-Encoding: gzip")
	etag := first.Header().Get("ETag")
	for header, status := range map[string]int{
		etag: http.StatusNotModified, "W/" + etag: http.StatusNotModified, `"other", ` + etag: http.StatusNotModified,
		"*": http.StatusNotModified, `"other"`: http.StatusOK, strings.Trim(etag, `"`): http.StatusOK,
	} {
		response, _ := get(t, "/", "Accept-Encoding: gzip", "If-None-Match: "+header)
		if response.Code != status || response.Header().Get("ETag") != etag {
			t.Errorf("%s: %d with %v", header, response.Code, response.Header())
		}
		if status == http.StatusNotModified && read(t, response.Body) != "" {
			t.Errorf("%s: 304 with a body", header)
		}
	}
	// The two forms are two representations, so their ETags differ (RFC 9110, section 8.8.3.3).
	plain, _ := get(t, "/")
	if plain.Header().Get("ETag") == etag {
		t.Error("the compressed page has the ETag of the plain one")
	}
}
