package httpapi

import (
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// withoutToken are the paths that need no token; all documents list them in the same words.
var withoutToken = []string{"/", "/healthz", "/readyz", "/docs", "/openapi.yaml"}

const tokenSentence = "every request but those to /, /healthz, /readyz, /docs and /openapi.yaml"

// TestWhatNeedsTheToken requests every path of the contract, and the page, without a token.
func TestWhatNeedsTheToken(t *testing.T) {
	t.Parallel()
	url := serve(t, testHandlerWith(t, scripted{}, Settings{Token: "secret"}))
	paths := []string{"/docs", "/docs/start.js", "/openapi.yaml", "/", "/none", "/healthz/", "/docsx"}
	for path, item := range loadContract(t).doc.Paths.Map() {
		paths = append(paths, path)
		open := item.Get != nil && item.Get.Security != nil && len(*item.Get.Security) == 0
		if want := slices.Contains(withoutToken, path); open != want {
			t.Errorf("by the contract %s needs no token: %t, want %t", path, open, want)
		}
	}
	for _, path := range paths {
		path = strings.NewReplacer("{job_id}", jobID, "{batch_id}", jobID, "{path}", "a.csv").Replace(path)
		open := slices.Contains(withoutToken, path) || strings.HasPrefix(path, "/docs/")
		if got := send(t, http.MethodGet, url+path, "").status; (got != http.StatusUnauthorized) != open {
			t.Errorf("GET %s without a token: %d, needs none: %t", path, got, open)
		}
	}
}

// TestDocumentsNameWhatNeedsTheToken checks that all documents use the same sentence.
func TestDocumentsNameWhatNeedsTheToken(t *testing.T) {
	t.Parallel()
	field, _ := reflect.TypeFor[Settings]().FieldByName("Token")
	documents := map[string]string{"the help of API_TOKEN": field.Tag.Get("help")}
	for _, name := range []string{"README.md", "SECURITY.md", ".env.example", "api/openapi.yaml", "docs/configuration.md", "docs/operations.md"} {
		content, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		documents[name] = string(content)
	}
	for name, text := range documents {
		plain := strings.Join(strings.Fields(strings.NewReplacer("`", "", "#", " ").Replace(text)), " ")
		if !strings.Contains(plain, tokenSentence) {
			t.Errorf("%s does not say %q", name, tokenSentence)
		}
	}
}
