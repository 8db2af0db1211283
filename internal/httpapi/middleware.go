package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"cellblock/internal/jobs"
	"cellblock/internal/telemetry"
)

// exchange is one request with its response: the ResponseWriter for handlers, and the facts for the
// access log. It is used by one goroutine.
type exchange struct {
	http.ResponseWriter
	requestID string
	arrived   time.Time
	// received is when a form, which may be slow to arrive, was complete; zero for other requests.
	received time.Time
	// jobID is the job that the request concerns, once known.
	jobID string
	// status is 0 until the response header is written.
	status int
	// aborted is set if the response broke off. cut is set if that was deliberate: the client sees
	// that the response is incomplete, and asks for the rest.
	aborted, cut bool
}

// statusClientGone is nginx's status, in the log and the metrics, for a client that left before its
// response. It is never sent.
const statusClientGone = 499

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// exchangeOf returns the request's exchange, which the middleware begin has put into the context.
func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// waitsFrom returns the time from which the client's wait counts.
func (x *exchange) waitsFrom() time.Time {
	if !x.received.IsZero() {
		return x.received
	}
	return x.arrived
}

// WriteHeader records the status and sets the deadline for the client to read the response.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
		// Not all writers support deadlines; then the server's own applies.
		_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(answerTimeout))
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	return x.ResponseWriter.Write(p)
}

// Unwrap returns the inner writer, for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) finalStatus() int {
	switch {
	case x.aborted && !x.cut:
		return http.StatusInternalServerError
	case x.status == 0:
		return statusClientGone
	default:
		return x.status
	}
}

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// begin starts the exchange: its arrival time and its id, which is the client's own if that is safe
// to log.
func (h *Handler) begin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !requestIDPattern.MatchString(id) {
			id = uuid.NewString()
		}
		w.Header().Set("X-Request-Id", id)
		x := &exchange{ResponseWriter: w, requestID: id, arrived: time.Now()}
		next.ServeHTTP(x, r.WithContext(withExchange(r.Context(), x)))
	})
}

// observe writes the access log and the metrics after the response.
func (h *Handler) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := exchangeOf(r)
		defer func() {
			route, method, took := routeName(r), methodName(r.Method), time.Since(x.arrived)
			h.metrics.ObserveRequest(route, method, x.finalStatus(), took)
			level := slog.LevelInfo
			if public(route) || route == "/metrics" {
				level = slog.LevelDebug // requested every few seconds
			}
			attrs := []slog.Attr{
				slog.String("method", method), slog.String("route", route), slog.Int("status", x.finalStatus()),
				telemetry.Milliseconds("ms", took), slog.String("request_id", x.requestID),
			}
			if x.jobID != "" {
				attrs = append(attrs, slog.String("job_id", x.jobID))
			}
			h.logger.LogAttrs(r.Context(), level, "request", attrs...)
		}()
		next.ServeHTTP(w, r)
	})
}

// recoverPanics answers a panic with CodeInternal. If the response has begun, it breaks the
// connection instead, so that the client does not take a part for the whole.
func (h *Handler) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			x := exchangeOf(r)
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) || x.status != 0 {
				x.aborted = x.status != 0
				panic(http.ErrAbortHandler)
			}
			h.fail(w, r, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}()
		next.ServeHTTP(w, r)
	})
}

// setFixedHeaders sets the headers of every response: no caching, and no guessing of types.
func setFixedHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forbidCaching(w)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

func forbidCaching(w http.ResponseWriter) { w.Header().Set("Cache-Control", "no-store") }

// openRoutes need no token: an orchestrator probes them.
var openRoutes = map[string]bool{"/healthz": true, "/readyz": true}

// authenticate checks the bearer token, if one is set. It compares hashes, so that the time taken
// reveals nothing about the token, its length included.
func (h *Handler) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.settings.Token == "" || public(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(sum[:], h.tokenSum[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="cellblock"`)
			h.fail(w, r, jobs.Errorf(jobs.CodeUnauthorized, "a valid token is needed in the header 'Authorization: Bearer ...'"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// joinPrefer joins several Prefer headers into one, which is equivalent (RFC 7240).
func joinPrefer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if lines := r.Header.Values("Prefer"); len(lines) > 1 {
			r.Header.Set("Prefer", strings.Join(lines, ", "))
		}
		next.ServeHTTP(w, r)
	})
}

// routeName returns the route's pattern, or "other", which keeps invented paths out of logs and
// metrics.
func routeName(r *http.Request) string {
	if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" && pattern != "/*" {
		return pattern
	}
	return "other"
}

func methodName(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions,
		http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	default:
		return "other"
	}
}
