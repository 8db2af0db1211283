package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cellblock/internal/listen"
)

// Settings configures the HTTP server.
type Settings struct {
	Addr            string        `name:"api-addr" env:"API_ADDR" default:"127.0.0.1:8080" help:"Address (host:port) that the API listens on; port 0 picks a free one."`
	Token           string        `name:"api-token" env:"API_TOKEN" placeholder:"TOKEN" help:"Bearer token of every request but those to /, /healthz, /readyz, /docs and /openapi.yaml. Better given as the variable: a flag shows in the process list. Empty (the default) asks for none."`
	AllowAnonymous  bool          `name:"allow-anonymous" env:"ALLOW_ANONYMOUS" help:"Serve an address that other machines reach although no token is set."`
	CORSOrigins     []string      `name:"cors-origins" env:"CORS_ORIGINS" placeholder:"ORIGIN" help:"Origins (by comma) whose pages may call the API from a browser, such as https://app.example.org; * allows all. A page sends the token itself: cookies are never allowed. Empty (the default) allows none."`
	ShutdownTimeout time.Duration `name:"shutdown-timeout" env:"SHUTDOWN_TIMEOUT" default:"10s" help:"Longest time (duration) that requests in progress have to end once the server is asked to stop."`
}

// Validate returns an error for a timeout of 0 or less, or an invalid origin.
func (s Settings) Validate() error {
	if s.ShutdownTimeout <= 0 {
		return errors.New("SHUTDOWN_TIMEOUT must be above 0")
	}
	return checkOrigins(s.CORSOrigins)
}

const (
	// headerTimeout and requestTimeout are how long a client may take to send the header, and
	// header and body together.
	headerTimeout  = 5 * time.Second
	requestTimeout = 15 * time.Second
	// answerTimeout is how long a client may take to read a response.
	answerTimeout = time.Minute
	// idleTimeout is how long an unused connection is kept open.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes limits a request's header.
	maxHeaderBytes = 32 << 10
)

// Listen opens the listener. Without a token it refuses an address that other machines can reach,
// unless AllowAnonymous is set, which it logs as a warning.
func (s Settings) Listen(ctx context.Context, logger *slog.Logger) (net.Listener, error) {
	addr, err := net.ResolveTCPAddr("tcp", s.Addr)
	if err != nil {
		return nil, listen.Explain("API_ADDR", s.Addr, err)
	}
	if s.Token == "" && !addr.IP.IsLoopback() {
		if !s.AllowAnonymous {
			return nil, fmt.Errorf("API_ADDR %s is reached from other machines and API_TOKEN is not set: set it, or ALLOW_ANONYMOUS=1 to run scripts for anybody", s.Addr)
		}
		logger.Warn("ALLOW_ANONYMOUS is set and API_TOKEN is not: whoever reaches this address can run scripts", "addr", s.Addr)
	}
	return listen.TCP(ctx, "API_ADDR", addr.String()) // the address that was checked; the name may resolve differently by now
}

// NewServer returns the server for h. Its ReadTimeout may be shorter than the wait for a job: it
// applies only until the body is read.
func (h *Handler) NewServer() *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + max(h.syncWait, maxJobWait) + answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(h.logger.Handler(), slog.LevelDebug),
	}
}
