package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServerSettings say where a worker serves its metrics.
type ServerSettings struct {
	MetricsAddr string `name:"metrics-addr" env:"METRICS_ADDR" default:"127.0.0.1:9091" help:"Address (host:port) that serves /metrics and /healthz; port 0 picks a free one, empty is off."`
}

// Server serves /metrics and /healthz. Its owner calls Close.
type Server struct {
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

// Serve starts serving on the address of the settings; with none it gives nil,
// of which Close may be called too. It fails if it cannot listen there.
func (s ServerSettings) Serve(metrics http.Handler, logger *slog.Logger) (*Server, error) {
	if s.MetricsAddr == "" {
		return nil, nil //nolint:nilnil // off is no error, and a nil Server can be closed
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", s.MetricsAddr)
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"ok"}`+"\n")
	})
	server := &Server{
		http: &http.Server{
			Handler:           mux,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       2 * time.Minute,
			ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		},
		listener: listener,
		done:     make(chan struct{}),
	}
	go func() {
		defer close(server.done)
		if err := server.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics are no longer served", "error", err)
		}
	}()
	logger.Info("serving metrics", "addr", listener.Addr().String())
	return server, nil
}

// Addr is the address that it listens on; empty for nil.
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
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-s.done
	return err
}
