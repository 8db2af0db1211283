package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/cors"
)

// preflightAge is for how many seconds a browser need not ask again.
const preflightAge = 600

// anyOrigin allows pages of every origin.
const anyOrigin = "*"

// allowOrigins lets pages of the origins of CORS_ORIGINS call the API from a browser;
// without any it does nothing. It goes before authenticate: a browser asks first, and
// without the token. Credentials that a browser has by itself (cookies and the like)
// are never allowed: a page sends the token, as every client does.
func (h *Handler) allowOrigins(next http.Handler) http.Handler {
	if len(h.settings.CORSOrigins) == 0 {
		return next // to the library none are all
	}
	return cors.Handler(cors.Options{
		AllowedOrigins: h.settings.CORSOrigins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{
			"Accept", "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "If-Range", "Last-Event-ID", "Prefer", "Range", "X-Request-Id",
		},
		ExposedHeaders: []string{
			"Accept-Ranges", "Allow", "Content-Disposition", "Content-Range", "ETag", "Location", "Preference-Applied", "Retry-After", "WWW-Authenticate", "X-Request-Id",
		},
		MaxAge: preflightAge,
	})(next)
}

// checkOrigins refuses what a browser never sends as an origin, and patterns.
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
			return fmt.Errorf("CORS_ORIGINS has %q, which is no origin: one is such as https://app.example.org or http://localhost:3000, without a path or a slash at its end", origin)
		}
		if strings.Contains(parsed.Host, "*") {
			return fmt.Errorf("CORS_ORIGINS has the pattern %q: name each origin, or allow all with *", origin)
		}
	}
	return nil
}
