package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redistest"
)

// settled checks what must hold once all jobs have ended: nothing is open, no tenant or batch waits for its turn, and
// the usage of each owner is that of its jobs, each counted once.
func (b *fixture) settled(t *testing.T) {
	t.Helper()
	client := redistest.Client(t, b.RedisURL)
	var errs error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		errs = nothingLeft(t.Context(), client)
		for _, o := range b.owners {
			errs = errors.Join(errs, o.counted(t.Context(), b.URL))
		}
		if errs == nil {
			return
		}
	}
	t.Errorf("afterwards: %v", errs)
}

// nothingLeft returns an error for each trace of a job that has not ended.
func nothingLeft(ctx context.Context, client redis.UniversalClient) (err error) {
	add := func(format string, args ...any) { err = errors.Join(err, fmt.Errorf(format, args...)) }
	open, failed := client.ZRange(ctx, "cellblock:{index}:open", 0, -1).Result()
	if failed != nil {
		return failed
	}
	if len(open) > 0 {
		add("open: %s", open)
	}
	for tenant, n := range client.HGetAll(ctx, "cellblock:{index}:open_by_tenant").Val() {
		if n != "0" {
			add("open jobs of %s: %s", tenant, n)
		}
	}
	if n := client.LLen(ctx, "cellblock:{index}:usage").Val(); n > 0 {
		add("%d jobs are not in the usage", n)
	}
	for _, pattern := range []string{"cellblock:{flows}:*", "cellblock:{running}:*"} {
		if keys := client.Keys(ctx, pattern).Val(); len(keys) > 0 {
			add("left behind: %s", strings.Join(keys, " "))
		}
	}
	return err
}
