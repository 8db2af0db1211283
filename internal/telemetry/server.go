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

// ServerSettings say where a worker serves its metrics.
type ServerSettings struct {
	MetricsAddr string `name:"metrics-addr" env:"METRICS_ADDR" default:"127.0.0.1:9091" help:"Address (host:port) that serves /metrics and /healthz; port 0 picks a free one, empty is off."`
}

// Server serves /metrics and /healthz. Its owner calls Close. A nil Server is one
// that is switched off; its methods do nothing.
type Server struct {
	listener net.Listener
	http     *http.Server  // nil until Serve
	done     chan struct{} // closed once http has ended
}

// Listen takes the address of the settings, so that a program learns at its start
// whether it is free; without an address it returns nil. Serve answers there.
func (s ServerSettings) Listen(ctx context.Context) (*Server, error) {
	if s.MetricsAddr == "" {
		return nil, nil //nolint:nilnil // off is no error, and a nil Server can be used
	}
	listener, err := listen.TCP(ctx, "METRICS_ADDR", s.MetricsAddr)
	if err != nil {
		return nil, err
	}
	return &Server{listener: listener}, nil
}

// Serve answers with these metrics until Close. It is called once at most.
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
			logger.Error("metrics are no longer served", "error", err)
		}
	}()
	logger.Info("serving metrics", "addr", s.Addr())
}

// Addr is the address that it listens on; empty if it is switched off.
func (s *Server) Addr() string {
	if s == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Close lets answers in progress end until ctx does, then cuts them off. It
// waits for the server's goroutine.
func (s *Server) Close(ctx context.Context) error {
	if s == nil {
		return nil
	}
	if s.http == nil {
		return s.listener.Close()
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}
