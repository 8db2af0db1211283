package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"cellblock/internal/jobs"
)

// errKeyEnded is the cause of a wait that ended because its key did.
var errKeyEnded = errors.New("the key has ended")

// readContext returns r's context for a read that waits or streams. Drain ends it, and so does the end of the caller's
// key, within h.recheck and what the verifier keeps a result for. The caller calls stop.
func (h *Handler) readContext(r *http.Request) (ctx context.Context, stop func()) {
	ctx, endWait := h.waitContext(r)
	if requestStateOf(r).caller.KeyID == "" {
		return ctx, endWait // the tokens in API_TOKEN stay the same while this process runs
	}
	ctx, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if h.followKey(ctx, r.WithContext(ctx)) {
			end(errKeyEnded)
		}
	}()
	return ctx, func() {
		end(nil)
		endWait()
		<-done
	}
}

// followKey verifies the key of a request again and again. It reports whether the key has ended, or that ctx is done.
// While keys cannot be checked, what was let in goes on.
func (h *Handler) followKey(ctx context.Context, r *http.Request) (ended bool) {
	ticker := time.NewTicker(h.recheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
		if _, err := h.identify(r); jobs.CodeOf(err) == jobs.CodeUnauthorized {
			return true
		}
	}
}

// endedByKey reports whether the end of a key ended ctx, which readContext returned.
func endedByKey(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errKeyEnded) }

// orUnauthorized returns the error for a read that was to wait in ctx: CodeUnauthorized if its key has ended.
func orUnauthorized(ctx context.Context, err error) error {
	if err != nil && endedByKey(ctx) {
		return unauthorized()
	}
	return err
}
