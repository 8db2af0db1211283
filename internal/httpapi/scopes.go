package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"cellblock/internal/jobs"
)

// mcpPath is where agents find the MCP server.
const mcpPath = "/mcp"

// operationScopes are the scopes of which a caller needs one, by method and route. An operation that is not here needs
// ScopeAdmin.
var operationScopes = map[string][]jobs.Scope{
	"POST /execute": {jobs.ScopeRun},
	"POST /batches": {jobs.ScopeRun},
	"POST /files":   {jobs.ScopeRun},

	"POST " + sandboxFusionRunCode: {jobs.ScopeRun},

	"GET /jobs":                   {jobs.ScopeRead},
	"GET /jobs/{id}":              {jobs.ScopeRead},
	"GET /jobs/{id}/events":       {jobs.ScopeRead},
	"GET /jobs/{id}/files/{path}": {jobs.ScopeRead},
	"GET /jobs/{id}/files/*":      {jobs.ScopeRead},
	"GET /batches/{id}":           {jobs.ScopeRead},
	"GET /batches/{id}/results":   {jobs.ScopeRead},
	"GET /files/{file_id}":        {jobs.ScopeRead},
	"GET /environments":           {jobs.ScopeRead},
	"GET /usage":                  {jobs.ScopeRead},
	"GET /activity":               {jobs.ScopeRead},

	"DELETE /jobs/{id}":       {jobs.ScopeCancel},
	"DELETE /batches/{id}":    {jobs.ScopeCancel},
	"DELETE /files/{file_id}": {jobs.ScopeCancel},

	// Each tool checks its own; see internal/mcpapi.
	"POST " + mcpPath: {jobs.ScopeRun, jobs.ScopeRead, jobs.ScopeCancel},

	"GET /metrics": {jobs.ScopeMetrics},

	"GET /workers":                     {jobs.ScopeAdmin},
	"GET /admin/keys":                  {jobs.ScopeAdmin},
	"POST /admin/keys":                 {jobs.ScopeAdmin},
	"DELETE /admin/keys/{key_id}":      {jobs.ScopeAdmin},
	"POST /admin/keys/{key_id}/rotate": {jobs.ScopeAdmin},

	"GET /admin/tenants/{tenant}/webhook-secret": {jobs.ScopeAdmin},
}

// requireScope refuses callers without the scope of the operation. It must come behind the router, which knows the
// route, and before each of its handlers.
func (h *Handler) requireScope(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkScope(r); err != nil {
			h.writeError(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func checkScope(r *http.Request) error {
	if needsNoToken(r.URL.Path) {
		return nil
	}
	operation := operationOf(r)
	scopes, ok := operationScopes[operation]
	if !ok {
		scopes = []jobs.Scope{jobs.ScopeAdmin}
	}
	if slices.ContainsFunc(scopes, jobs.CallerOf(r.Context()).May) {
		return nil
	}
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = `"` + string(scope) + `"`
	}
	return jobs.Errorf(jobs.CodeForbidden, "the key of this request does not have the scope %s, which %s needs; "+
		"use a key that has it", strings.Join(names, " or "), operation)
}

// operationOf returns the method and the route of a request: "GET /jobs/{id}". HEAD is GET.
func operationOf(r *http.Request) string {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	return method + " " + chi.RouteContext(r.Context()).RoutePattern()
}
