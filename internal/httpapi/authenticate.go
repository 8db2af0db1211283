package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"cellblock/internal/jobs"
)

// needsNoToken reports whether a path needs no token: orchestrators probe some, and browsers read the documentation.
func needsNoToken(path string) bool {
	switch path {
	case "/", "/console", "/console/", "/healthz", "/readyz", "/openapi.yaml", "/docs":
		return true
	default:
		return strings.HasPrefix(path, "/docs/") || strings.HasPrefix(path, uiPath)
	}
}

// authenticate finds out who makes a request, and puts the caller into the context. A path that needs no token has no
// caller, who sees nothing.
func (h *Handler) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if needsNoToken(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		caller, err := h.identify(r)
		if err != nil {
			if jobs.CodeOf(err) == jobs.CodeUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="cellblock"`)
			}
			h.writeError(w, r, err)
			return
		}
		requestStateOf(r).caller = caller
		next.ServeHTTP(w, r.WithContext(jobs.WithCaller(r.Context(), caller)))
	})
}

// identify returns who makes a request. Errors: CodeUnauthorized, the same for every kind of wrong key, and
// CodeUnavailable if the key cannot be checked.
func (h *Handler) identify(r *http.Request) (jobs.Caller, error) {
	if !h.settings.needsToken() {
		return jobs.OperatorCaller(), nil
	}
	if token, ok := tokenOf(r); ok {
		if h.isOperatorsToken(token) {
			return jobs.OperatorCaller(), nil
		}
		if h.keys != nil {
			caller, valid, err := h.keys.Verify(r.Context(), token)
			if valid || err != nil {
				return caller, err
			}
		}
	}
	return jobs.Caller{}, unauthorized()
}

func unauthorized() error {
	return jobs.Errorf(jobs.CodeUnauthorized, "a valid token is needed in the header 'Authorization: Bearer ...'")
}

// sumsOf returns the SHA-256 of each of the tokens, which have spaces between them.
func sumsOf(tokens string) (sums [][sha256.Size]byte) {
	for token := range strings.FieldsSeq(tokens) {
		sums = append(sums, sha256.Sum256([]byte(token)))
	}
	return sums
}

// isOperatorsToken compares hashes, so that the time taken reveals nothing about the tokens in API_TOKEN, their length
// included.
func (h *Handler) isOperatorsToken(token string) bool {
	sum := sha256.Sum256([]byte(token))
	equal := 0
	for i := range h.tokenSums {
		equal |= subtle.ConstantTimeCompare(sum[:], h.tokenSums[i][:])
	}
	return equal == 1
}

// tokenOf returns the token of a request. SandboxFusion's clients can be configured with a URL only, so there it may be
// the password of that (Basic authentication).
func tokenOf(r *http.Request) (token string, ok bool) {
	if _, password, basic := r.BasicAuth(); basic && isSandboxFusion(r) {
		return password, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}
