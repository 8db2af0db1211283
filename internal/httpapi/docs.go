package httpapi

import (
	"embed"
	"net/http"
	"path"
	"strconv"

	"github.com/go-chi/chi/v5"

	"cellblock/api"
)

// docsFiles is the page at /docs: the published Swagger UI (docs/README.md has the version) and two files of ours that
// start it. It loads nothing from other hosts.
//
//go:embed docs/index.html docs/start.js docs/swagger-ui-bundle.js docs/swagger-ui.css
var docsFiles embed.FS

// docsPolicy restricts the page to resources from this server.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var docsTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
}

// docsRoutes adds the contract and its page. They are the same for all users and need no token: a browser could not
// send one.
func (h *Handler) docsRoutes(r chi.Router) {
	r.Get("/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		sendDocument(w, "application/yaml", api.Document)
	})
	r.Get("/docs", func(w http.ResponseWriter, r *http.Request) { h.sendDocs(w, r, "index.html") })
	r.Get("/docs/{file}", func(w http.ResponseWriter, r *http.Request) { h.sendDocs(w, r, chi.URLParam(r, "file")) })
}

// sendRoot redirects to the page; the body has the paths of the page and the contract.
func (h *Handler) sendRoot(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Location", "/docs")
	h.writeJSON(w, r, http.StatusFound, map[string]string{"docs": "/docs", "contract": "/openapi.yaml"})
}

// sendDocs sends a file of docsFiles.
func (h *Handler) sendDocs(w http.ResponseWriter, r *http.Request, name string) {
	content, err := docsFiles.ReadFile("docs/" + name)
	if err != nil {
		h.pathNotFound(w, r)
		return
	}
	w.Header().Set("Content-Security-Policy", docsPolicy)
	w.Header().Set("Referrer-Policy", "no-referrer")
	sendDocument(w, docsTypes[path.Ext(name)], content)
}

// sendDocument sends a response that browsers may cache.
func sendDocument(w http.ResponseWriter, contentType string, content []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.Header().Set("Cache-Control", "public, max-age=600")
	_, _ = w.Write(content) // fails only if the client has disconnected
}
