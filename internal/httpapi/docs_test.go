package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"cellblock/api"
)

// TestRootRedirectsToTheDocs is without the pages for browsers.
func TestRootRedirectsToTheDocs(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{Token: "secret"}))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request) // follows no redirects
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusFound || response.Header.Get("Location") != "/docs" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	page := send(t, http.MethodGet, url+"/", "")
	if page.status != http.StatusOK || !strings.Contains(page.body, "<html") {
		t.Errorf("%d %.200s", page.status, page.body)
	}
}

// TestDocs requests the page and everything it refers to: without a token, and from this server alone.
func TestDocs(t *testing.T) {
	t.Parallel()
	url := serve(t, newHandlerWith(t, stubJobs{}, Settings{Token: "secret"}))
	page := send(t, http.MethodGet, url+"/docs", "")
	if page.status != http.StatusOK || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %s", page.status, page.header.Get("Content-Type"))
	}
	policy := page.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; ") {
		t.Errorf("the policy is %q", policy)
	}
	references := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page.body, -1)
	if len(references) < 4 {
		t.Errorf("the page refers to %v only", references)
	}
	for _, reference := range references {
		if reference[1] == "data:," {
			continue
		}
		if !strings.HasPrefix(reference[1], "/") || strings.HasPrefix(reference[1], "//") {
			t.Errorf("the page needs %s", reference[1])
		}
		got := send(t, http.MethodGet, url+reference[1], "")
		if got.status != http.StatusOK || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s returns %d", reference[1], got.status)
		}
	}
	document := send(t, http.MethodGet, url+"/openapi.yaml", "")
	if document.body != string(api.Document) {
		t.Error("/openapi.yaml is not the contract")
	}
	for _, path := range []string{"/docs/none", "/docs/README.md", "/docs/..%2fdocs.go", "/docs/a/b"} {
		wantResponse(t, send(t, http.MethodGet, url+path, ""), http.StatusNotFound, "not_found")
	}
}

// TestDocsAreThePublishedOnes compares the checksums in docs/README.md.
func TestDocsAreThePublishedOnes(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("docs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css"} {
		content, err := docsFiles.ReadFile("docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(content)
		if !strings.Contains(string(readme), hex.EncodeToString(sum[:])+"  "+name) {
			t.Errorf("%s is not the one that docs/README.md names", name)
		}
	}
}
