package httpapi

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"cellblock/internal/audit"
	"cellblock/internal/jobs"
)

// auditActions are the actions of the audit log, by method and route. Requests of other routes are written only if they
// were refused. The tools of POST /mcp set the action themselves.
var auditActions = map[string]audit.Action{
	"POST /execute":                              audit.JobCreate,
	"GET /jobs":                                  audit.JobList,
	"GET /jobs/{id}":                             audit.JobRead,
	"DELETE /jobs/{id}":                          audit.JobCancel,
	"GET /jobs/{id}/events":                      audit.JobEvents,
	"GET /jobs/{id}/files/{path}":                audit.JobFile,
	"GET /jobs/{id}/files/*":                     audit.JobFile,
	"POST /batches":                              audit.BatchCreate,
	"GET /batches/{id}":                          audit.BatchRead,
	"GET /batches/{id}/results":                  audit.BatchResults,
	"DELETE /batches/{id}":                       audit.BatchCancel,
	"POST /files":                                audit.FileCreate,
	"GET /files/{file_id}":                       audit.FileRead,
	"DELETE /files/{file_id}":                    audit.FileDelete,
	"GET /usage":                                 audit.UsageRead,
	"POST " + sandboxFusionRunCode:               audit.JobCreate,
	"POST /admin/keys":                           audit.KeyCreate,
	"GET /admin/keys":                            audit.KeyList,
	"POST /admin/keys/{key_id}/rotate":           audit.KeyRotate,
	"DELETE /admin/keys/{key_id}":                audit.KeyRevoke,
	"GET /admin/tenants/{tenant}/webhook-secret": audit.SecretRead,
}

// writeAudit writes the line of the audit log after the response. The one place of it: each door passes here, and what
// handles the request notes in its audit.Entry what it concerns.
func (h *Handler) writeAudit(routes chi.Routes) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if h.audit != nil {
				defer h.writeAuditLine(routes, r)
			}
			next.ServeHTTP(w, r)
		})
	}
}

func (h *Handler) writeAuditLine(routes chi.Routes, r *http.Request) {
	line, route := endOf(routes, r)
	if line.Action == "" {
		line.Action = auditActions[route.method+" "+route.pattern]
	}
	if line.Action == "" {
		if line.Status < http.StatusBadRequest || needsNoToken(r.URL.Path) {
			return
		}
		line.Action = audit.Other
	}
	h.audit.Write(line)
}

// endOf returns what is known of a request after its response, as a line of the audit log whose action may be missing,
// and its route.
func endOf(routes chi.Routes, r *http.Request) (audit.Line, route) {
	state, found := requestStateOf(r), routed(routes, r)
	line := state.audit.Line()
	line.Status = state.finalStatus()
	if line.Outcome == "" {
		line.Outcome = auditOutcome(state, line.Status)
	}
	line.Tenant, line.KeyID = string(state.caller.Tenant), state.caller.KeyID
	line.Client, line.RequestID = addressOf(r), state.requestID
	found.note(&line, state.jobID)
	return line, found
}

// auditOutcome returns the outcome of a request for which no handler set one.
func auditOutcome(state *requestState, status int) string {
	switch {
	case state.aborted:
		return audit.OutcomeAborted
	case status == statusClientGone:
		return audit.OutcomeClientGone
	case status >= http.StatusBadRequest:
		return audit.OutcomeRefused
	default:
		return audit.OutcomeOK
	}
}

// addressOf returns the address of the client, as TRUSTED_PROXIES makes it known.
func addressOf(r *http.Request) string {
	if address := middleware.GetClientIPAddr(r.Context()); address.IsValid() {
		return address.Unmap().String()
	}
	return r.RemoteAddr
}

// route is the route of a request, with its parameters.
type route struct {
	method, pattern string
	params          *chi.Context
}

// routed returns the route of a request, also of one that was refused before it was routed.
func routed(routes chi.Routes, r *http.Request) route {
	found := route{method: r.Method, params: chi.RouteContext(r.Context())}
	if found.method == http.MethodHead {
		found.method = http.MethodGet
	}
	found.pattern = found.params.RoutePattern()
	if found.pattern == "" || found.pattern == "/*" {
		found.params = chi.NewRouteContext()
		if routes.Match(found.params, found.method, r.URL.Path) {
			found.pattern = found.params.RoutePattern()
		}
	}
	return found
}

// note adds the ids in the path. What has not the form of an id is left out: a client may have put anything there, also
// a whole key instead of its id.
func (p route) note(line *audit.Line, jobID string) {
	id, valid := jobs.ParseID(p.params.URLParam("id"))
	if !valid {
		id = ""
	}
	fileID, valid := jobs.ParseFileID(p.params.URLParam("file_id"))
	if !valid {
		fileID = ""
	}
	switch {
	case jobID != "":
		line.JobID = jobID
	case strings.HasPrefix(p.pattern, "/jobs/"):
		line.JobID = id
	case strings.HasPrefix(p.pattern, "/batches/"):
		line.BatchID = id
	case strings.HasPrefix(p.pattern, "/files/"):
		line.FileID = fileID
	case strings.HasPrefix(p.pattern, "/admin/") && line.Target == "":
		line.Target = p.target()
	}
}

// target returns the key's id or the tenant in the path.
func (p route) target() string {
	if id, valid := jobs.ParseKeyID(p.params.URLParam("key_id")); valid {
		return id
	}
	if tenant := p.params.URLParam("tenant"); jobs.IsTenantName(tenant) {
		return tenant
	}
	return ""
}
