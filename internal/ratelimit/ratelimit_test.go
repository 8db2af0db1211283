package ratelimit

import (
	"log/slog"
	"testing"
	"time"

	"cellblock/internal/jobs"
	"cellblock/internal/redistest"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

func TestRequestsOfATenant(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	replicas := []*Limiter{New(redistest.Client(t, url), quiet), New(redistest.Client(t, url), quiet)}
	limits := jobs.TenantLimits{RequestsPerSecond: 0.01, Burst: 5}
	for i := range 5 {
		quota, err := replicas[i%2].Take(t.Context(), "acme", limits)
		if err != nil || !quota.Allowed || quota.Left != 4-i || quota.Next != 100*time.Second {
			t.Errorf("request %d: %+v, %v", i, quota, err)
		}
	}
	quota, err := replicas[0].Take(t.Context(), "acme", limits)
	if err != nil || quota.Allowed || quota.Left != 0 || quota.Next < 90*time.Second || quota.Next > 100*time.Second {
		t.Errorf("one more: %+v, %v", quota, err)
	}
	if quota, err := replicas[0].Take(t.Context(), "beta", limits); err != nil || !quota.Allowed {
		t.Errorf("another tenant: %+v, %v", quota, err)
	}
}

// A key that may send a request in a quarter of an hour does not lock out the tenant's key with a hundred in a second.
func TestKeysOfATenantWithDifferentLimits(t *testing.T) {
	t.Parallel()
	limiter := New(redistest.Open(t), quiet)
	slow := jobs.TenantLimits{RequestsPerSecond: 0.001, Burst: 10}
	for range 10 {
		if quota, err := limiter.Take(t.Context(), "acme", slow); err != nil || !quota.Allowed {
			t.Fatalf("the slow key: %+v, %v", quota, err)
		}
	}
	fast := jobs.TenantLimits{RequestsPerSecond: 100}
	for range 10 {
		if quota, err := limiter.Take(t.Context(), "acme", fast); err != nil || !quota.Allowed {
			t.Fatalf("the fast key: %+v, %v", quota, err)
		}
	}
	if quota, err := limiter.Take(t.Context(), "acme", slow); err != nil || quota.Allowed {
		t.Errorf("the slow key: %+v, %v", quota, err)
	}
}

func TestRequestsComeBack(t *testing.T) {
	t.Parallel()
	limiter := New(redistest.Open(t), quiet)
	limits := jobs.TenantLimits{RequestsPerSecond: 20, Burst: 1}
	if quota, err := limiter.Take(t.Context(), "acme", limits); err != nil || !quota.Allowed {
		t.Fatalf("got %+v, %v", quota, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		quota, err := limiter.Take(t.Context(), "acme", limits)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("got %+v, %v", quota, err)
		}
		if quota.Allowed {
			return
		}
		time.Sleep(quota.Next)
	}
}

// One round trip: the library's script is known to Redis after the first.
func TestARequestIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	client := redistest.Open(t)
	limiter := New(client, quiet)
	limits := jobs.TenantLimits{RequestsPerSecond: 100}
	if _, err := limiter.Take(t.Context(), "acme", limits); err != nil {
		t.Fatal(err)
	}
	client.ConfigResetStat(t.Context())
	for range 10 {
		if _, err := limiter.Take(t.Context(), "acme", limits); err != nil {
			t.Fatal(err)
		}
	}
	calls := client.InfoMap(t.Context(), "commandstats").Val()["Commandstats"]
	for name := range calls {
		switch name {
		case "cmdstat_evalsha", "cmdstat_time", "cmdstat_get", "cmdstat_set", // in the script, but for the first
			"cmdstat_config|resetstat", "cmdstat_info":
		default:
			t.Errorf("it calls %s: %s", name, calls[name])
		}
	}
}

func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	limiter := New(redistest.Client(t, server.URL()), quiet)
	server.Kill()
	start := time.Now()
	if quota, err := limiter.Take(t.Context(), "acme", jobs.TenantLimits{RequestsPerSecond: 1}); err == nil {
		t.Errorf("got %+v", quota)
	}
	if took := time.Since(start); took > 10*takeTimeout {
		t.Errorf("it took %s", took)
	}
}
