package httpapi

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

// uiPath begins the paths of the pages' scripts and styles.
const uiPath = "/ui/"

// Pages serves the pages for browsers, with their scripts and styles.
type Pages interface {
	// Serve sends the file at the path of the request, and reports whether there is one; if not, it sends nothing.
	Serve(w http.ResponseWriter, r *http.Request) bool
}

// pageRoutes adds the playground and the console. Like the documentation, their files are the same for all users; the
// page asks for the token and sends it with its requests. Without the pages, / leads to the documentation.
func (h *Handler) pageRoutes(r chi.Router) {
	if h.pages == nil {
		r.Get("/", h.sendRoot)
		return
	}
	send := func(w http.ResponseWriter, r *http.Request) {
		if !h.pages.Serve(w, r) {
			h.pathNotFound(w, r)
		}
	}
	r.Get("/", send)
	r.Get("/console", send)
	r.Get("/console/", http.RedirectHandler("/console", http.StatusPermanentRedirect).ServeHTTP)
	r.Get(uiPath+"{file}", send)
}
