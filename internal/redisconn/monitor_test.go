package redisconn_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redisconn"
	"cellblock/internal/redistest"
)

// However Redis is absent, a waiting command and a new one both fail in time.
func TestAnAbsentRedisIsReportedInTime(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (url string, stop func()){
		"stopped": func(t *testing.T) (string, func()) {
			server := redistest.StartServer(t)
			return server.URL(), server.Kill
		},
		"frozen": func(t *testing.T) (string, func()) {
			server := redistest.StartServer(t)
			return server.URL(), func() { _ = server.Freeze() }
		},
		"cut off": func(t *testing.T) (string, func()) {
			far := redistest.StartFar(t)
			return far.FarURL(), func() { far.Disturb(t, "timeout", `"timeout": 0`) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, stop := open(t)
			client := redistest.Monitor(t, url).Client()
			if err := client.Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			stop()
			for range 2 {
				start := time.Now()
				_, err := client.Pipelined(
					t.Context(), func(p redis.Pipeliner) error { return p.Get(t.Context(), "x").Err() })
				if took := time.Since(start); err == nil || took > 1500*time.Millisecond {
					t.Errorf("after %s: %v", took, err)
				}
				start = time.Now()
				err = client.Get(t.Context(), "x").Err()
				if took := time.Since(start); err == nil || errors.Is(err, redis.Nil) || took > 1500*time.Millisecond {
					t.Errorf("after %s: %v", took, err)
				}
			}
		})
	}
}

// Large commands in the buffers of TCP delay the notice that Redis is frozen, but not beyond 1.5 s. The test allows
// half a second more for a busy machine.
func TestAFrozenRedisIsReportedInTimeDuringLargeCommands(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	client := redistest.Monitor(t, "redis://"+server.ListenTCP(t)).Client()
	value := strings.Repeat("x", 16<<20)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	send := func() (wait func()) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { _ = client.Set(ctx, "x", value, 0).Err() })
		}
		return all.Wait
	}
	send()() // so that the buffers have grown
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	defer send()()
	err := client.Get(ctx, "x").Err()
	if took := time.Since(start); !errors.Is(err, redisconn.ErrSilent) || took > 2*time.Second {
		t.Errorf("after %s: %v", took, err)
	}
}

func TestASlowRedisIsWaitedFor(t *testing.T) {
	t.Parallel()
	far := redistest.StartFar(t)
	monitor := redistest.Monitor(t, far.FarURL())
	far.Disturb(t, "latency", `"latency": 1000`)
	// Until its first answer, this Redis looks like a silent one.
	for deadline := time.Now().Add(20 * time.Second); monitor.Client().Ping(t.Context()).Err() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("no answer comes")
		}
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			start := time.Now()
			if err := monitor.Client().Set(t.Context(), "x", "1", 0).Err(); err != nil {
				t.Errorf("after %s: %v", time.Since(start), err)
			}
		})
	}
	all.Wait()
}

// A Redis that has taken a large command is not called absent while it runs it. A pause stands for
// the running: Redis takes the command, and answers nothing, not even pings.
func TestALargeCommandIsWaitedFor(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Monitor(t, url).Client()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	const pause = 3 * time.Second
	if err := redistest.Client(t, url).ClientPause(t.Context(), pause).Err(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := client.Set(t.Context(), "x", strings.Repeat("x", 16<<20), 0).Err(); err != nil {
		t.Fatalf("after %s: %v", time.Since(start), err)
	}
	if took := time.Since(start); took < pause/2 {
		t.Errorf("the answer came after %s: Redis did not pause", took)
	}
	// The bytes are answered, so the next silence is noticed as soon as ever.
	if err := redistest.Client(t, url).ClientPause(t.Context(), 5*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	err := client.Get(t.Context(), "y").Err()
	if took := time.Since(start); !errors.Is(err, redisconn.ErrSilent) || took > 1500*time.Millisecond {
		t.Errorf("after %s: %v", took, err)
	}
}

// A Redis that comes back is used at once, and each new absence is noticed.
func TestTheReturnOfRedisIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t)
	monitor := redistest.Monitor(t, server.URL())
	for range 2 {
		if err := monitor.Client().Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := server.Freeze(); err != nil {
			t.Fatal(err)
		}
		guarded, cancel := monitor.Guard(t.Context())
		<-guarded.Done()
		if !errors.Is(context.Cause(guarded), redisconn.ErrSilent) {
			t.Error(context.Cause(guarded))
		}
		cancel()
		if err := monitor.Client().Ping(t.Context()).Err(); !errors.Is(err, redisconn.ErrSilent) {
			t.Errorf("got %v", err)
		}
		if err := server.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
}

// A connection that Redis closed while it was idle is not used again: the monitor's wrapping hides
// nothing from the client library.
func TestAClosedConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t)
	client := redistest.Monitor(t, url).Client()
	single := client.(*redis.Client)
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := redistest.Client(t, url).ClientKillByFilter(t.Context(), "TYPE", "normal").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if stats := single.PoolStats(); stats.StaleConns == 0 {
		t.Errorf("got %+v", stats)
	}
}

// Messages arrive while a poll of a slow Redis is in progress.
func TestAMessageDoesNotWaitForAPoll(t *testing.T) {
	t.Parallel()
	client := redistest.Open(t)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	polling, received, ended := make(chan struct{}, 1), make(chan string, 1), make(chan struct{})
	go func() {
		defer close(ended)
		redisconn.Listen(ctx, client, "c",
			time.Hour, func(payload string) { received <- payload }, func(ctx context.Context) {
				polling <- struct{}{}
				<-ctx.Done()
			})
	}()
	<-polling // it is subscribed, and this poll is in progress
	if err := client.Publish(t.Context(), "c", "x").Err(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-received:
	case <-time.After(10 * time.Second):
		t.Error("no message during a poll")
	}
	stop()
	<-ended
}
