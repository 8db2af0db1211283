package httpapi

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-json-experiment/json"
	"golang.org/x/sys/unix"

	"cellblock/api"
	"cellblock/internal/jobs"
	"cellblock/internal/listen"
)

const (
	// leastConnections and mostConnections are the range of Settings.MaxConnections.
	leastConnections, mostConnections = 16, 1_000_000
	// otherFiles is the number of open files besides the clients' connections: those to Redis, webhooks, output files.
	otherFiles = 256
)

// LimitConnections returns a listener that accepts the connections of inner within the settings' bounds, and refuses
// others with CodeUnavailable.
func (h *Handler) LimitConnections(inner net.Listener) *listen.Limited {
	return listen.Limit(inner, listen.Limits{
		Total: allowedConnections(h.settings.MaxConnections, h.logger), PerAddress: h.settings.MaxPerAddress,
		Proxies: h.settings.TrustedProxies, Refusal: refusal, OnRefused: h.metrics.ObserveRefusedConnection,
	})
}

// allowedConnections returns as many of the connections as this process may open files for, at least a few.
func allowedConnections(connections int, logger *slog.Logger) int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur >= uint64(connections+otherFiles) {
		return connections
	}
	allowed := max(leastConnections, int(limit.Cur)-otherFiles)
	logger.Warn("MAX_CONNECTIONS lowered: this process may open too few files; raise its limit (ulimit -n)",
		"max_connections", allowed, "open_files", limit.Cur)
	return allowed
}

// refusal returns the HTTP response for a connection beyond a bound.
func refusal(perAddress bool) []byte {
	message := "the server holds as many connections as it may; repeat the request after a moment"
	if perAddress {
		message = "this address has as many connections as one may have; use fewer at a time, or repeat the request " +
			"after a moment"
	}
	body, err := json.Marshal(api.Error{Error: message, Code: api.ErrorCode(jobs.CodeUnavailable)}, encoding)
	if err != nil {
		panic(err) // two strings always encode
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"Retry-After: 1\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n%s\n",
		http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable), len(body)+1, body)
}

// findClient returns the middleware that stores the address of a request's client: that of the connection, or the one
// that the trusted proxies name.
func findClient(proxies []netip.Prefix) func(http.Handler) http.Handler {
	if len(proxies) == 0 {
		return middleware.ClientIPFromRemoteAddr
	}
	var texts []string
	for _, proxy := range proxies {
		texts = append(texts, proxy.String())
	}
	return middleware.ClientIPFromXFF(texts...)
}

// clientOf names the client of a request, with which memory is shared: its address, or that of its IPv6 network. It is
// the proxy's own for a request that a proxy makes by itself.
func clientOf(r *http.Request) string {
	if address := middleware.GetClientIPAddr(r.Context()); address.IsValid() {
		return listen.ClientOf(address).String()
	}
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return strings.ToLower(host)
}
