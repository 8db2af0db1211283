package httpapi

import (
	"context"
	"net/http"
	"time"
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
