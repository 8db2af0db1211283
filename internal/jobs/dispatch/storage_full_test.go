package dispatch

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

// When Redis is full, responses and probes report it, and both recover when Redis does.
func TestAFullStorageIsNamed(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct {
		fill        func(*replica, *testing.T)
		config, end string // what ends it
	}{
		"disk":   {(*replica).refuseWrites, "stop-writes-on-bgsave-error", "no"},
		"memory": {(*replica).fillMemory, "maxmemory", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newReplica(t, redistest.Start(t))
			if _, err := s.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			fault.fill(s, t)
			_, readyErr := s.Ready(t.Context())
			_, submitErr := s.Submit(t.Context(), jobs.Request{Script: "x"}, "r-1")
			for what, err := range map[string]error{"ready": readyErr, "submit": submitErr} {
				var told *jobs.Error
				if errors.As(err, &told) && name == "memory" && told.Code == jobs.CodeQueueFull {
					continue // the measurement of Redis's memory, once a second, came first
				}
				if !errors.As(err, &told) || told.Code != jobs.CodeUnavailable ||
					!strings.Contains(told.Message, "storage is full") || told.RetryAfterSeconds == 0 {
					t.Errorf("%s: got %v", what, err)
				}
			}
			if err := s.client.ConfigSet(t.Context(), fault.config, fault.end).Err(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func (s *replica) fillMemory(t *testing.T) {
	t.Helper()
	if err := s.client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
}

// refuseWrites simulates a full disk: Redis cannot save, and refuses writes.
func (s *replica) refuseWrites(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	if err := s.client.ConfigSet(ctx, "save", "3600 1").Err(); err != nil {
		t.Fatal(err)
	}
	// A directory in the place of the file.
	if err := os.Mkdir(filepath.Join(s.client.ConfigGet(ctx, "dir").Val()["dir"], "dump.rdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.client.BgSave(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		info, err := s.client.Info(ctx, "persistence").Result()
		if err == nil && strings.Contains(info, "rdb_last_bgsave_status:err") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Redis saves in spite of it: %v", err)
		}
	}
}
