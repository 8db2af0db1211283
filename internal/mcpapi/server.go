package mcpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"cellblock/internal/buildinfo"
	"cellblock/internal/membudget"
)

const (
	// listTTL is for how long clients may keep the list of tools, which changes only with the version of the server.
	listTTL = time.Hour
	// methodListen waits for changes, of which there are none.
	methodListen = "subscriptions/listen"
	// defaultTaskAfter is the default of Settings.TaskAfter.
	defaultTaskAfter = 3 * time.Second
)

// Settings configure a server.
type Settings struct {
	// Wait is how long run_python waits for the end of its job.
	Wait time.Duration
	// TaskAfter is how long a call waits before it becomes a task, for clients that declare tasks; 0 means 3 s.
	TaskAfter time.Duration
	Logger    *slog.Logger
}

// NewServer returns an MCP server with the tools for service, for standard input and output. Every caller may use all
// of them.
func NewServer(service Service, settings Settings) *mcp.Server {
	return newServer(service, settings, permitAll)
}

func newServer(service Service, settings Settings, permit permit) *mcp.Server {
	hasTasks := service.Retention() > 0
	capabilities := &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}}
	if hasTasks {
		capabilities.AddExtension(tasksExtension, nil)
	}
	server := mcp.NewServer(
		&mcp.Implementation{Name: "cellblock", Title: "Cellblock: Python in a sandbox", Version: buildinfo.Version()},
		&mcp.ServerOptions{
			Capabilities: capabilities,
			Logger:       slog.New(errorsOnly{settings.Logger.Handler()}),
			SetCacheable: func(_ context.Context, _ mcp.Request, cacheable *mcp.Cacheable) {
				cacheable.TTLMs = int(listTTL.Milliseconds())
			},
		},
	)
	t := &tools{service: service, settings: settings, permit: permit}
	t.addTo(server)
	if hasTasks {
		t.addTasks(server)
	}
	server.AddReceivingMiddleware(refuseOthers)
	server.AddReceivingMiddleware(noteForAudit)
	server.AddReceivingMiddleware(recoverPanics(settings.Logger))
	return server
}

// refuseOthers refuses the methods of features that this server does not declare: prompts, resources and others, which
// the SDK would answer with empty lists.
func refuseOthers(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, request mcp.Request) (mcp.Result, error) {
		for _, prefix := range []string{"prompts/", "resources/", "completion/", "logging/"} {
			if strings.HasPrefix(method, prefix) {
				return nil, &jsonrpc.Error{
					Code:    jsonrpc.CodeMethodNotFound,
					Message: fmt.Sprintf("%q is not supported: this server has tools only", method),
				}
			}
		}
		return next(ctx, method, request)
	}
}

// recoverPanics answers a call that panics with an error. The SDK runs calls in goroutines of its own, so that a panic
// would end the process.
func recoverPanics(logger *slog.Logger) mcp.Middleware {
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, request mcp.Request) (result mcp.Result, err error) {
			defer func() {
				if cause := recover(); cause != nil {
					logger.ErrorContext(ctx, "MCP call panicked", "cause", fmt.Sprint(cause),
						"stack", string(debug.Stack()))
					result, err = nil, errInternal
				}
			}()
			return next(ctx, method, request)
		}
	}
}

// Handler serves MCP over HTTP, without sessions. The middleware before it checks the token, Host and Origin, and
// bounds the body. Drain ends its waits.
type Handler struct {
	inner  http.Handler
	local  *Local
	memory *membudget.Budget
}

// NewHandler returns the handler of POST /mcp.
func NewHandler(local *Local, settings Settings) *Handler {
	server := newServer(local, settings, permitByScope)
	memory := membudget.New(maxFileMemory, fileMemoryTimeout)
	return &Handler{local: local, memory: memory, inner: mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{
			Stateless:                    true,
			PropagateRequestCancellation: true,
			Logger:                       slog.New(errorsOnly{settings.Logger.Handler()}),
			// The API checks both for all of its routes.
			DisableLocalhostProtection: true,
			MaxRequestBodyBytes:        -1,
		},
	)}
}

// FileBudget returns the memory budget of files in answers.
func (h *Handler) FileBudget() *membudget.Budget { return h.memory }

// ServeHTTP serves one request, which the caller's middleware has checked.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The SDK passes on the values of the request's context, but by itself not its end, for clients of revisions
	// before 2026-07-28. Without it, their jobs would run on although none reads their answers.
	call := &call{
		done: r.Context(), baseURL: baseURLOf(r), requestID: w.Header().Get("X-Request-Id"), memory: h.memory,
	}
	defer call.end() // the answer is written by then, or will not be
	ctx := context.WithValue(r.Context(), callKey{}, call)
	if r.Header.Get("Mcp-Method") == methodListen {
		// It has no end of its own, and would hold up the shutdown.
		var stop func()
		ctx, stop = h.local.waitContext(ctx)
		defer stop()
	}
	h.inner.ServeHTTP(w, r.WithContext(ctx))
}

// Drain ends the waits: calls in progress are answered with the current state of their jobs, and new ones refused. It
// returns at once.
func (h *Handler) Drain() { h.local.drain() }

// baseURLOf returns the URL that the client used, without the path. Only the client itself sees it.
func baseURLOf(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// errorsOnly drops records below the level of errors: the SDK logs each connection.
type errorsOnly struct{ slog.Handler }

// Enabled reports whether the level is at least that of errors.
func (h errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
}
