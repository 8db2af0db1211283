package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"cellblock/internal/hostcheck"
	"cellblock/internal/listen"
)

// closeTimeout is how long Close waits for requests in progress.
const closeTimeout = 2 * time.Second

// Server serves /metrics, /healthz and, to this machine only, /debug/pprof/. The caller of Listen calls Close. A nil
// Server is switched off: its methods do nothing.
type Server struct {
	listener net.Listener
	// hosts are the names under which the server answers; nil for all.
	hosts *hostcheck.Hosts
	http  *http.Server  // nil until Serve
	done  chan struct{} // closed once http has ended
}

// Listen opens the address, the value of setting, so that a program fails at its start if it is in use. It returns nil
// without an address. Requests wait until Serve. allowedHosts is the value of ALLOWED_HOSTS; if it is empty, the server
// answers under any name unless the address is loopback: a page in a browser on this machine could bind its name to
// that. Elsewhere Prometheus asks by the names of services.
func Listen(ctx context.Context, setting, address string, allowedHosts []string) (*Server, error) {
	if address == "" {
		return nil, nil //nolint:nilnil // off is no error, and a nil Server can be used
	}
	listener, err := listen.TCP(ctx, setting, address)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: listener}
	if len(allowedHosts) > 0 || hostcheck.IsLoopback(s.Addr()) {
		hosts := hostcheck.New(allowedHosts, address)
		s.hosts = &hosts
	}
	return s, nil
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
		Handler:           s.checkHost(mux),
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

// checkHost responds 403 to requests by names under which the server does not answer.
func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin") // no page of another origin embeds it
		if s.hosts != nil && !s.hosts.Has(r.Host) {
			http.Error(w, hostcheck.Refusal(r.Host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
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
