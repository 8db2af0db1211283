package httpapi

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// routes returns the contract's routes behind the middleware.
func (h *Handler) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(h.begin, h.observe, h.recoverPanics, setFixedHeaders, h.allowOrigins, h.authenticate, joinPrefer, middleware.GetHead)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		h.fail(w, r, jobs.Errorf(jobs.CodeNotFound, "there is no such path"))
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) { h.methodNotAllowed(r, w, req) })
	known := r.With(h.checkQuery)
	h.documentRoutes(known)
	// The contract's {path} matches one segment; files in folders have more.
	known.Get("/jobs/{id}/files/*", func(w http.ResponseWriter, r *http.Request) { h.getFile(w, r, chi.URLParam(r, "id")) })
	api.HandlerWithOptions(h, api.ChiServerOptions{
		BaseRouter: known,
		ErrorHandlerFunc: func(w http.ResponseWriter, r *http.Request, err error) {
			h.fail(w, r, parameterFault(err))
		},
	})
	return r
}

// methodNotAllowed answers a method that the path does not have; for OPTIONS, with the list of the
// path's methods.
func (h *Handler) methodNotAllowed(routes chi.Routes, w http.ResponseWriter, r *http.Request) {
	allowed := allowedMethods(routes, r.URL.Path)
	if allowed == "" {
		h.fail(w, r, jobs.Errorf(jobs.CodeNotFound, "there is no such path"))
		return
	}
	w.Header().Set("Allow", allowed)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.fail(w, r, &jobs.Error{
		Code:    jobs.CodeMethodNotAllowed,
		Message: fmt.Sprintf("this path does not take that method; it takes %s", allowed),
	})
}

// allowedMethods lists a path's methods for the header Allow; empty if there is no such path.
func allowedMethods(routes chi.Routes, path string) string {
	var methods []string
	if routes.Match(chi.NewRouteContext(), http.MethodGet, path) {
		methods = append(methods, http.MethodGet, http.MethodHead)
	}
	if routes.Match(chi.NewRouteContext(), http.MethodPost, path) {
		methods = append(methods, http.MethodPost)
	}
	if routes.Match(chi.NewRouteContext(), http.MethodDelete, path) {
		methods = append(methods, http.MethodDelete)
	}
	if len(methods) == 0 {
		return ""
	}
	return strings.Join(append(methods, http.MethodOptions), ", ")
}
