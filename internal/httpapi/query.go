package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-chi/chi/v5"

	"cellblock/api"
	"cellblock/internal/jobs"
)

// queryNames are the query parameters of the contract, by method and route. Other routes have none.
var queryNames = map[string][]string{
	"POST /execute":             {"inline_files"},
	"GET /jobs":                 {"status", "cursor", "limit"},
	"GET /jobs/{id}":            {"wait", "inline_files"},
	"GET /batches/{id}":         {"wait"},
	"GET /batches/{id}/results": {"after", "follow"},
}

// checkQuery refuses unknown and repeated query parameters, by name. If a misspelled one were
// ignored, GET /jobs?customer=acme would list the jobs of all customers.
func (h *Handler) checkQuery(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := queryFault(r); err != nil {
			h.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func queryFault(r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &jobs.Error{Code: jobs.CodeInvalidRequest, Message: "the query parameters cannot be read: they must be percent-encoded, with & between them", Cause: err}
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	route := method + " " + chi.RouteContext(r.Context()).RoutePattern()
	known := queryNames[route]
	for name, values := range query {
		switch {
		case len(known) == 0:
			return jobs.Errorf(jobs.CodeInvalidRequest, "unknown query parameter %.64q; %s takes none", name, route)
		case !slices.Contains(known, name):
			return jobs.Unknown("", "query parameter", name, known)
		case len(values) > 1:
			return jobs.Errorf(jobs.CodeInvalidRequest, "the query parameter %q is given twice", name)
		}
	}
	return nil
}

// parameterFault returns the error for a parameter that could not be parsed.
func parameterFault(err error) *jobs.Error {
	var format *api.InvalidParamFormatError
	var many *api.TooManyValuesForParamError
	switch {
	case errors.As(err, &format) && (format.ParamName == "inline_files" || format.ParamName == "follow"):
		return jobs.Errorf(jobs.CodeInvalidRequest, "%q must be true or false", format.ParamName)
	case errors.As(err, &many):
		return jobs.Errorf(jobs.CodeInvalidRequest, "the header %s is given %d times", many.ParamName, many.Count)
	default:
		return &jobs.Error{Code: jobs.CodeInvalidRequest, Message: "a parameter of the request is malformed", Cause: err}
	}
}
