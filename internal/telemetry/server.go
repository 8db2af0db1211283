package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cellblock/internal/listen"
)

// closeTimeout is how long Close waits for requests in progress.
const closeTimeout = 2 * time.Second

// Server serves /metrics, /healthz and, to this machine only, /debug/pprof/. The caller of Listen calls Close. A nil
// Server is switched off: its methods do nothing.
type Server struct {
	listener net.Listener
	http     *http.Server  // nil until Serve
	done     chan struct{} // closed once http has ended
}

// Listen opens the address, the value of setting, so that a program fails at its start if it is in use. It returns nil
// without an address. Requests wait until Serve.
func Listen(ctx context.Context, setting, address string) (*Server, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // off is no error, and a nil Server can be used
	}
	listener, err := listen.TCP(ctx, setting, address)
	if err != nil {
		return nil, err
	}
	return &Server{listener: listener}, nil
}

// Serve serves the metrics until Close. Call it at most once.
func (s *Server) Serve(metrics http.Handler, logger *slog.Logger) {
	if s == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"ok"}`+"\n")
	})
	mux.Handle("/debug/pprof/", pprofHandler())
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics server failed", "error", err)
		}
	}()
	logger.Info("serving metrics", "addr", s.Addr())
}

// Addr returns the address on which the server listens; "" if it is switched off.
func (s *Server) Addr() string {
	if s == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Close lets requests in progress end for 2 s, then closes their connections. It waits for the server's goroutine.
func (s *Server) Close() error {
	if s == nil {
		return nil
	}
	if s.http == nil {
		return s.listener.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}
