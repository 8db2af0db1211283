package tracing

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// failureInterval is the shortest time between two lines of the log about failures of the exporter. It fails with each
// batch, every few seconds, while its collector is gone.
const failureInterval = time.Minute

// failures logs what the SDK reports, once in a while.
type failures struct {
	logger *slog.Logger

	mu       sync.Mutex
	loggedAt time.Time
	// left counts what was not logged since.
	left int
}

func newFailures(logger *slog.Logger) *failures { return &failures{logger: logger} }

// Handle implements otel.ErrorHandler.
func (f *failures) Handle(err error) {
	if left, due := f.take(time.Now()); due {
		f.logger.Warn("exporting traces failed", "error", err, "failures_not_logged", left)
	}
}

// take reports whether to log a failure that comes now, and how many were left out before it.
func (f *failures) take(now time.Time) (left int, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.loggedAt.IsZero() && now.Sub(f.loggedAt) < failureInterval {
		f.left++
		return 0, false
	}
	left, f.left, f.loggedAt = f.left, 0, now
	return left, true
}

// handler returns a handler for the SDK's own log, of which it passes on errors, as often as other failures.
func (f *failures) handler() slog.Handler {
	return &errorsOnly{Handler: f.logger.Handler(), failures: f}
}

type errorsOnly struct {
	slog.Handler
	failures *failures
}

// Enabled reports whether the level is that of errors.
func (h *errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
}

// Handle passes the record on if it is due.
func (h *errorsOnly) Handle(ctx context.Context, record slog.Record) error {
	if _, due := h.failures.take(record.Time); !due {
		return nil
	}
	return h.Handler.Handle(ctx, record)
}

// WithAttrs keeps the bound.
func (h *errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &errorsOnly{Handler: h.Handler.WithAttrs(attrs), failures: h.failures}
}

// WithGroup keeps the bound.
func (h *errorsOnly) WithGroup(name string) slog.Handler {
	return &errorsOnly{Handler: h.Handler.WithGroup(name), failures: h.failures}
}
