package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/cors"

	"cellblock/internal/hostcheck"
	"cellblock/internal/jobs"
)

// preflightAge is how long a browser may cache a preflight response, in seconds.
const preflightAge = 600

// anyOrigin allows pages of every origin.
const anyOrigin = "*"

// allowOrigins lets pages of the origins in CORS_ORIGINS call the API from a browser; without origins it does nothing.
// It runs before authenticate, because a browser sends the preflight request without the token. Credentials that a
// browser attaches by itself, such as cookies, are never allowed: a page sends the token, as every client does.
func (h *Handler) allowOrigins(next http.Handler) http.Handler {
	if len(h.settings.CORSOrigins) == 0 {
		return next // the library treats no origins as all origins
	}
	return cors.Handler(cors.Options{
		AllowedOrigins: h.settings.CORSOrigins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{
			"Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "If-Range",
			"Last-Event-ID", "Mcp-Method", "Mcp-Name", "Mcp-Protocol-Version", "Prefer", "Range", "Traceparent",
			"Tracestate", "X-Request-Id",
		},
		ExposedHeaders: []string{
			"Accept-Ranges", "Allow", "Content-Disposition", "Content-Range", "ETag", "Location", "Preference-Applied",
			"RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate", "X-Request-Id",
		},
		MaxAge: preflightAge,
	})(next)
}

// refuseCrossOrigin refuses requests that a page of another origin sends to change something, unless CORS_ORIGINS names
// the origin. A browser sends some without a preflight request, such as forms, to services on the user's own machine
// too. Clients other than browsers send neither of the headers Sec-Fetch-Site and Origin, and pass.
func (h *Handler) refuseCrossOrigin(next http.Handler) http.Handler {
	if slices.Contains(h.settings.CORSOrigins, anyOrigin) {
		return next
	}
	protection := http.NewCrossOriginProtection()
	for _, origin := range h.settings.CORSOrigins {
		// Browsers send origins in lower case; checkOrigins has accepted this one.
		_ = protection.AddTrustedOrigin(strings.ToLower(origin))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := protection.Check(r); err != nil {
			h.writeError(w, r, &jobs.Error{
				Code: jobs.CodeCrossOrigin, Cause: err,
				Message: "a browser sent this request from a page of another origin, " +
					"and CORS_ORIGINS does not name that origin",
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses requests by host names that are not in ALLOWED_HOSTS. A page that binds its own name to the API's
// address has the API's origin in the browser, so refuseCrossOrigin lets it pass. Where a token is needed, such a page
// has none, and all names are allowed.
func (h *Handler) checkHost(next http.Handler) http.Handler {
	if h.settings.needsToken() {
		return next
	}
	hosts := hostcheck.New(h.settings.AllowedHosts, h.settings.Addr)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hosts.Has(r.Host) {
			h.writeError(w, r, &jobs.Error{Code: jobs.CodeHostNotAllowed, Message: hostcheck.Refusal(r.Host)})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkOrigins returns an error for patterns, and for values that no browser sends as an origin.
func checkOrigins(origins []string) error {
	for _, origin := range origins {
		if origin == anyOrigin {
			if len(origins) > 1 {
				return errors.New("CORS_ORIGINS has * beside other origins, which it includes: leave one of them out")
			}
			return nil
		}
		parsed, err := url.Parse(origin)
		if err != nil || parsed.Scheme == "" || parsed.Hostname() == "" || parsed.Scheme+"://"+parsed.Host != origin {
			return fmt.Errorf("CORS_ORIGINS has %q, which is no origin: one is such as https://app.example.org "+
				"or http://localhost:3000, without a path or a slash at its end", origin)
		}
		if strings.Contains(parsed.Host, "*") {
			return fmt.Errorf("CORS_ORIGINS has the pattern %q: name each origin, or allow all with *", origin)
		}
	}
	return nil
}
