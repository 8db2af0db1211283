package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// routes returns the contract's routes behind the middleware.
func (h *Handler) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(
		findClient(h.settings.TrustedProxies), h.trackRequest, h.trace(r), h.observe, h.writeAudit(r),
		h.recoverPanics, setFixedHeaders,
		// The first of these lets a page of CORS_ORIGINS read the refusals of the others.
		h.allowOrigins, h.checkHost, h.refuseCrossOrigin, h.authenticate, h.limitRequests,
		joinPrefer, middleware.GetHead,
	)
	r.NotFound(h.pathNotFound)
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) { h.methodNotAllowed(r, w, req) })
	checked := r.With(h.requireScope, h.checkQuery)
	h.docsRoutes(checked)
	h.pageRoutes(checked)
	// The contract's {path} matches one segment; files in folders have more.
	checked.Get("/jobs/{id}/files/*", func(w http.ResponseWriter, r *http.Request) {
		h.GetJobFile(w, r, chi.URLParam(r, "id"), "")
	})
	if h.mcp != nil {
		checked.Post(mcpPath, h.serveMCP)
	}
	// Not in the contract: its form is another service's.
	checked.Post(sandboxFusionRunCode, h.RunCode)
	api.HandlerWithOptions(h, api.ChiServerOptions{
		BaseRouter: checked,
		ErrorHandlerFunc: func(w http.ResponseWriter, r *http.Request, err error) {
			h.writeError(w, r, parameterError(err))
		},
	})
	return r
}

// pathNotFound responds with CodeNotFound.
func (h *Handler) pathNotFound(w http.ResponseWriter, r *http.Request) {
	h.writeError(w, r, jobs.Errorf(jobs.CodeNotFound, "there is no such path"))
}

// methodNotAllowed responds to a method that the path does not have; to OPTIONS, with the list of the path's methods.
func (h *Handler) methodNotAllowed(routes chi.Routes, w http.ResponseWriter, r *http.Request) {
	allowed := allowedMethods(routes, r.URL.Path)
	if allowed == "" {
		h.pathNotFound(w, r)
		return
	}
	w.Header().Set("Allow", allowed)
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.writeError(w, r, jobs.Errorf(jobs.CodeMethodNotAllowed, "this path does not take that method; it takes %s",
		allowed))
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

// queryNames are the query parameters of the contract, by method and route. Other routes have none.
var queryNames = map[string][]string{
	"POST /execute": {"inline_files"},
	"POST /files":   {"name"},
	"GET /jobs": {
		"status", "code", "environment", "label", "since", "until", "tenant", "cursor", "limit",
	},
	"GET /jobs/{id}":            {"wait", "inline_files"},
	"GET /batches/{id}":         {"wait"},
	"GET /batches/{id}/results": {"after", "follow"},
	"GET /admin/keys":           {"tenant"},
	"GET /usage":                {"from", "to", "tenant", "by"},
	"GET /activity":             {"tenant"},
	"GET /admin/tenants/{tenant}/webhook-secret": {"generation"},
}

// repeatable are the query parameters that may be given more than once.
var repeatable = []string{"label"}

// checkQuery refuses unknown and repeated query parameters of the job API, by name. If a misspelled one were ignored,
// GET /jobs?customer=acme would list the jobs of all customers.
func (h *Handler) checkQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isJobAPI(r.URL.Path) {
			if err := checkQueryParameters(r); err != nil {
				h.writeError(w, r, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func checkQueryParameters(r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &jobs.Error{
			Code: jobs.CodeInvalidRequest, Cause: err,
			Message: "the query parameters cannot be read: they must be percent-encoded, with & between them",
		}
	}
	route := operationOf(r)
	known := queryNames[route]
	for name, values := range query {
		switch {
		case len(known) == 0:
			return jobs.Errorf(jobs.CodeInvalidRequest, "unknown query parameter %.64q; %s takes none", name, route)
		case !slices.Contains(known, name):
			return jobs.Unknown("", "query parameter", name, known)
		case len(values) > 1 && !slices.Contains(repeatable, name):
			return jobs.Errorf(jobs.CodeInvalidRequest, "the query parameter %q is given twice", name)
		}
	}
	return nil
}

// parameterError returns the error for a parameter that could not be parsed.
func parameterError(err error) error {
	var format *api.InvalidParamFormatError
	var many *api.TooManyValuesForParamError
	switch {
	case errors.As(err, &format) && (format.ParamName == "inline_files" || format.ParamName == "follow"):
		return jobs.Errorf(jobs.CodeInvalidRequest, "%q must be true or false", format.ParamName)
	case errors.As(err, &many):
		return jobs.Errorf(jobs.CodeInvalidRequest, "the header %s is given %d times", many.ParamName, many.Count)
	default:
		return &jobs.Error{
			Code: jobs.CodeInvalidRequest, Message: "a parameter of the request is malformed", Cause: err,
		}
	}
}
