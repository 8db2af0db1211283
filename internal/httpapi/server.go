// Package httpapi is the HTTP API of Cellblock: routes, checks of requests, and response bodies. The contract is
// api/openapi.yaml.
//
// A request passes the middleware in the order of Handler.routes, then one method of Handler, which calls Jobs,
// Batches, Live, Files or Uploads and writes one response. Every error goes through Handler.writeError; response.go has
// the one table from codes to statuses.
package httpapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"cellblock/api"
	"cellblock/internal/audit"
	"cellblock/internal/hostcheck"
	"cellblock/internal/jobs"
	"cellblock/internal/listen"
	"cellblock/internal/membudget"
	"cellblock/internal/telemetry"
	"cellblock/internal/tracing"
)

// Settings configures the HTTP server.
type Settings struct {
	Addr            string         `name:"api-addr" env:"API_ADDR" default:"127.0.0.1:8080" help:"Address (host:port) that the API listens on; port 0 picks a free one."`
	Token           string         `name:"api-token" env:"API_TOKEN" placeholder:"TOKEN" help:"Bearer token of every request but those to /, /console, /healthz, /readyz, /docs and /openapi.yaml. Several tokens, space-separated, are all accepted, so that a token can be replaced. Set it by the variable: a flag is visible in the process list. Empty (the default) requires none, unless API_KEYS_FILE is set."`
	KeysFile        string         `name:"api-keys-file" env:"API_KEYS_FILE" placeholder:"FILE" help:"File (YAML) with the SHA-256 of keys of tenants, and what each key is for (docs/tenants.md). It is read again when it changes. With it, requests need a key or API_TOKEN. Empty (the default): keys are in Redis only (cellblock key create)."`
	AllowAnonymous  bool           `name:"allow-anonymous" env:"ALLOW_ANONYMOUS" help:"Serve an address that other machines reach although no token is set."`
	CORSOrigins     []string       `name:"cors-origins" env:"CORS_ORIGINS" placeholder:"ORIGIN" help:"Origins (comma-separated) whose pages may call the API from a browser, such as https://app.example.org; * allows all. A page sends the token itself: cookies are never allowed. Empty (the default) allows none."`
	AllowedHosts    []string       `name:"allowed-hosts" env:"ALLOWED_HOSTS" placeholder:"HOST" help:"Host names (comma-separated) by which clients reach the API, such as api,cellblock.example.org; IP addresses and localhost need no entry, and * allows all. Requests by other names are refused, so that no web page reaches the API by binding its own name to it (DNS rebinding). With API_TOKEN or API_KEYS_FILE set, all names are allowed. It also holds for API_METRICS_ADDR, where empty (the default) allows no name if that address is loopback, and else all."`
	MaxConnections  int            `name:"max-connections" env:"MAX_CONNECTIONS" default:"4096" help:"How many connections the API holds at once (16 to 1000000). A new one beyond takes the place of one that has no request, or else is refused with 503."`
	MaxPerAddress   int            `name:"max-connections-per-address" env:"MAX_CONNECTIONS_PER_ADDRESS" default:"2048" help:"The same for each client address, an IPv6 network of 64 bits being one; 0 is no bound. The addresses of TRUSTED_PROXIES have none."`
	TrustedProxies  []netip.Prefix `name:"trusted-proxies" env:"TRUSTED_PROXIES" placeholder:"PREFIX" help:"Networks (CIDR, comma-separated) of load balancers and proxies before the API: the client's address is read from their X-Forwarded-For, so that memory is shared between clients and not between proxies. Empty (the default) takes the address of the connection."`
	MCP             bool           `name:"mcp" env:"MCP" default:"true" negatable:"" help:"Serve the MCP server for agents at /mcp."`
	UI              string         `name:"ui" env:"UI" default:"on" enum:"on,off" help:"Serve the pages for browsers, the playground at / and the console at /console: on or off."`
	ShutdownTimeout time.Duration  `name:"shutdown-timeout" env:"SHUTDOWN_TIMEOUT" default:"10s" help:"Time (duration) for requests in progress to end after a stop signal."`
}

// Validate returns an error for a timeout of 0 or less, a bound out of range, or an invalid origin or host name.
func (s Settings) Validate() error {
	if s.ShutdownTimeout <= 0 {
		return errors.New("SHUTDOWN_TIMEOUT must be above 0")
	}
	if s.MaxConnections < leastConnections || s.MaxConnections > mostConnections {
		return fmt.Errorf("MAX_CONNECTIONS must be from %d to %d", leastConnections, mostConnections)
	}
	if s.MaxPerAddress < 0 {
		return errors.New("MAX_CONNECTIONS_PER_ADDRESS must be 0 (no bound) or above")
	}
	return errors.Join(checkOrigins(s.CORSOrigins), hostcheck.Validate(s.AllowedHosts))
}

// HasPages reports whether the pages for browsers are served.
func (s Settings) HasPages() bool { return s.UI == "on" }

// needsToken reports whether a request needs API_TOKEN or a key. Where it does not, each is the operator's.
func (s Settings) needsToken() bool { return s.Token != "" || s.KeysFile != "" }

const (
	// headerTimeout and requestTimeout are how long a client may take to send the header, and header and body together.
	headerTimeout  = 5 * time.Second
	requestTimeout = 15 * time.Second
	// responseTimeout is how long a client may take to read a response.
	responseTimeout = time.Minute
	// idleTimeout is how long an unused connection is kept open.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes limits a request's header; net/http allows 4 KiB more. It is held before the token is checked.
	maxHeaderBytes = 12 << 10
)

// Listen opens the listener. Without a token it refuses an address that other machines can reach, unless AllowAnonymous
// is set, which it logs as a warning.
func (s Settings) Listen(ctx context.Context, logger *slog.Logger) (net.Listener, error) {
	addr, err := net.ResolveTCPAddr("tcp", s.Addr)
	if err != nil {
		return nil, listen.Explain("API_ADDR", s.Addr, err)
	}
	if !s.needsToken() && !addr.IP.IsLoopback() {
		if !s.AllowAnonymous {
			return nil, fmt.Errorf("API_ADDR %s can be reached from other machines and API_TOKEN is not set: "+
				"set it, or ALLOW_ANONYMOUS=1 to run scripts without a token", s.Addr)
		}
		logger.Warn("serving without a token: every client that reaches this address can run scripts", "addr", s.Addr)
	}
	// addr, not s.Addr: the name may resolve differently by now.
	return listen.TCP(ctx, "API_ADDR", addr.String())
}

// NewServer returns the server for h. Its ReadTimeout may be shorter than the wait for a job: it applies only until the
// body is read.
func (h *Handler) NewServer() *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout + max(h.syncWait, maxJobWait) + responseTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ConnContext:       listen.WithConn,
		ErrorLog:          slog.NewLogLogger(h.logger.Handler(), slog.LevelDebug),
	}
}

// Config has the dependencies and settings of a Handler.
type Config struct {
	Settings Settings
	// SyncWait is how long a synchronous request is held, from its arrival.
	SyncWait time.Duration
	// Limits are the workers' limits; a request may ask for lower ones.
	Limits jobs.Limits
	// StartDeadline is the longest start_within that a request may ask for.
	StartDeadline time.Duration
	// CheckWebhook returns CodeInvalidRequest for a callback_url that cannot be delivered to. nil refuses all: there is
	// no signing key.
	CheckWebhook func(webhookURL string) error
	Files        Files
	Uploads      Uploads
	Live         Live
	Batches      Batches
	Environments Environments
	// Keys are the keys of tenants; nil for none.
	Keys  Keys
	Usage Usage
	// Activity is what happens now.
	Activity Activity
	// Rates counts the requests of tenants; nil counts none.
	Rates Rates
	// WebhookSecrets are the signing secrets of tenants; nil if there is no signing key.
	WebhookSecrets WebhookSecrets
	// MCP handles POST /mcp; nil for none.
	MCP http.Handler
	// Pages are the playground and the console; nil for none.
	Pages Pages
	// Audit is the audit log; nil for none.
	Audit *audit.Log
	// Traces records requests; nil records none.
	Traces  *tracing.Tracer
	Metrics *telemetry.APIMetrics
	Logger  *slog.Logger
}

// Handler serves the API. It is safe for concurrent use. Drain ends its waits.
type Handler struct {
	jobs     Jobs
	settings Settings
	// tokenSums are those of the tokens in API_TOKEN.
	tokenSums [][sha256.Size]byte
	syncWait  time.Duration
	// recheck is how often the key of a stream or a waiting read is verified again.
	recheck time.Duration
	limits  jobs.Limits
	// maxStartWithin is Config.StartDeadline.
	maxStartWithin time.Duration
	webhook        func(webhookURL string) error
	files          Files
	uploads        Uploads
	live           Live
	batches        Batches
	environments   Environments
	keys           Keys
	usage          Usage
	activity       Activity
	rates          Rates
	webhookSecrets WebhookSecrets
	// bodies limits the memory held by request bodies.
	bodies bodyBudgets
	// mcp handles POST /mcp behind the middleware; nil for none. mcpBodies limits the bytes of its bodies, which are
	// held until the answer.
	mcp       http.Handler
	mcpBodies bodyBudgets
	// pages are the playground and the console; nil for none.
	pages    Pages
	endCache endCache
	audit    *audit.Log
	traces   *tracing.Tracer
	metrics  *telemetry.APIMetrics
	logger   *slog.Logger
	router   http.Handler
	// draining ends with Drain.
	draining context.Context
	drain    context.CancelFunc
}

var _ api.ServerInterface = (*Handler)(nil)

// New returns a Handler.
func New(service Jobs, config Config) *Handler {
	h := &Handler{
		jobs:           service,
		settings:       config.Settings,
		tokenSums:      sumsOf(config.Settings.Token),
		syncWait:       config.SyncWait,
		limits:         config.Limits,
		maxStartWithin: config.StartDeadline,
		webhook:        config.CheckWebhook,
		files:          config.Files,
		uploads:        config.Uploads,
		live:           config.Live,
		batches:        config.Batches,
		environments:   config.Environments,
		keys:           config.Keys,
		usage:          config.Usage,
		activity:       config.Activity,
		rates:          config.Rates,
		webhookSecrets: config.WebhookSecrets,
		bodies: bodyBudgets{
			large: membudget.New(maxBodyMemory, bodyMemoryTimeout),
			small: membudget.New(maxSmallBodies, bodyMemoryTimeout),
		},
		mcp: config.MCP, pages: config.Pages,
		mcpBodies: bodyBudgets{
			large: membudget.NewShared(maxMCPBodies, maxMCPBodies/2, bodyMemoryTimeout),
			small: membudget.NewShared(maxSmallMCPBodies, maxSmallMCPBodies/2, bodyMemoryTimeout),
		},
		audit:   config.Audit,
		traces:  config.Traces,
		metrics: config.Metrics,
		logger:  config.Logger,
		recheck: heartbeat,
	}
	h.draining, h.drain = context.WithCancel(context.Background())
	h.router = h.routes()
	return h
}

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer listen.Occupy(r.Context())()
	h.router.ServeHTTP(w, r)
}

// Budgets returns the memory budgets of the bodies of requests, by names for operators.
func (h *Handler) Budgets() map[string]*membudget.Budget {
	return map[string]*membudget.Budget{
		"requests": h.bodies.large, "small_requests": h.bodies.small,
		"mcp_requests": h.mcpBodies.large, "small_mcp_requests": h.mcpBodies.small,
	}
}

// Drain ends the waits: waiting requests receive the job's current state, new jobs are refused with CodeUnavailable,
// and the readiness check fails. It returns at once. Further calls do nothing.
func (h *Handler) Drain() { h.drain() }

// errDraining is the cause of a wait that Drain ended.
var errDraining = errors.New("the server is shutting down")

// waitContext returns r's context for a wait; Drain ends it too. The caller calls stop.
func (h *Handler) waitContext(r *http.Request) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(r.Context())
	unhook := context.AfterFunc(h.draining, func() { cancel(errDraining) })
	return ctx, func() {
		unhook()
		cancel(nil)
	}
}

// endedByDrain reports whether Drain ended ctx, which waitContext returned.
func endedByDrain(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errDraining) }

// drainError returns the error for new jobs after Drain.
func drainError() error {
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: errDraining.Error(), RetryAfterSeconds: 1}
}
