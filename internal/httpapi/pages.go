package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// Switch is a setting that is on or off.
type Switch bool

// UnmarshalText accepts on, true, yes and 1, and their opposites.
func (s *Switch) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "on", "true", "yes", "1":
		*s = true
	case "off", "false", "no", "0":
		*s = false
	default:
		return fmt.Errorf("must be on or off, not %q", text)
	}
	return nil
}

// MarshalText returns on or off.
func (s Switch) MarshalText() ([]byte, error) {
	if s {
		return []byte("on"), nil
	}
	return []byte("off"), nil
}

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
	r.Get(uiPath+"{file}", send)
}
