package httpapi

import (
	"context"
	"net/http"
	"time"
)

// exchange is one request with its answer: the ResponseWriter that handlers
// write to, and what the access log says of it. One goroutine uses it.
type exchange struct {
	http.ResponseWriter
	requestID string
	arrived   time.Time
	// received is when a form was there whole, which may take its time; zero for
	// other requests.
	received time.Time
	// jobID is set once the request has to do with a job.
	jobID string
	// status is 0 until the answer's header is written.
	status int
	// aborted tells that the answer broke off, cut that this was meant: its client
	// sees that it has not all, and asks for the rest.
	aborted, cut bool
}

// statusClientGone is what the log and the metrics say when the client left
// before its answer; it is never sent. nginx's number.
const statusClientGone = 499

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// exchangeOf gives the request's exchange, which begin has put there for all
// that runs after it.
func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// waitsFrom is from when on its client waits for an answer.
func (x *exchange) waitsFrom() time.Time {
	if !x.received.IsZero() {
		return x.received
	}
	return x.arrived
}

// WriteHeader notes the status and gives the client its time to read.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
		// Not all writers have deadlines; the server's own then stands.
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

// Unwrap lets http.ResponseController reach the connection.
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
