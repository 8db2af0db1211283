package faults

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redistest"
	"cellblock/test/stack"
)

func TestAPIKilledWhileClientsWait(t *testing.T) {
	b := startFixture(t, 2, nil)
	l := startLoad(t.Context(), b, 0.02)
	for range 3 {
		l.awaitEnded(t, l.ended.Load()+60)
		b.API.Kill()
		if err := b.RestartAPI(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}

// The job is stored and enqueued, and the API dies before it knows.
func TestAPIKilledWhileAccepting(t *testing.T) {
	kills := make(chan struct{}, 1)
	var w *interceptor
	// The API uses an interceptor in front of a Redis whose address is known only later.
	b := startFixture(t, 2, func(c *stack.Config) {
		w = newInterceptor(t, "")
		hit := nth(60, isAccept)
		w.reply = func(last, _ []byte) bool {
			if hit(last) {
				select {
				case kills <- struct{}{}:
				default:
				}
				return false
			}
			return true
		}
		c.API["REDIS_URL"] = w.url
		c.OnRedis = func(url string) { w.upstream = url[len("unix://"):]; w.start() }
	})
	l := startLoad(t.Context(), b, 0.02)
	select {
	case <-kills:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was accepted")
	}
	b.API.Kill()
	w.reply = nil
	if err := b.RestartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}

func redisStopped(t *testing.T, pause time.Duration) {
	t.Helper()
	b := startFixture(t, 2, nil)
	l := startLoad(t.Context(), b, 0.02)
	l.awaitEnded(t, 100)
	_ = b.Redis.Signal(syscall.SIGSTOP)
	time.Sleep(pause)
	_ = b.Redis.Signal(syscall.SIGCONT)
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}

func TestRedisStopped1s(t *testing.T)  { redisStopped(t, time.Second) }
func TestRedisStopped8s(t *testing.T)  { redisStopped(t, 8*time.Second) }
func TestRedisStopped40s(t *testing.T) { redisStopped(t, 40*time.Second) }

func TestRedisKilledAndRestarted(t *testing.T) {
	b := startFixture(t, 2, nil)
	l := startLoad(t.Context(), b, 0.02)
	for range 2 {
		l.awaitEnded(t, l.ended.Load()+100)
		b.Redis.Kill()
		time.Sleep(500 * time.Millisecond)
		if err := b.RestartRedis(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}

// Data that Redis forgets is lost, and clients get 404. Idempotency keys are forgotten too, so a
// client that repeats its request makes a new job.
func TestRedisFlushed(t *testing.T) {
	b := startFixture(t, 2, nil)
	l := startLoad(t.Context(), b, 0.02)
	l.awaitEnded(t, 100)
	if err := redistest.Client(t, b.RedisURL).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	b.makeKey(t)
	l.verify(t, b.runs, time.Now(), mayLoseEverything)
}

func TestRedisAtMaxmemory(t *testing.T) {
	b := startFixture(t, 2, nil)
	client := redistest.Client(t, b.RedisURL)
	l := startLoad(t.Context(), b, 0.02)
	l.awaitEnded(t, 100)
	setMaxmemory(t, client, 1) // less than it already uses
	awaitRefusals(t, client, "OOM")
	time.Sleep(4 * time.Second)
	setMaxmemory(t, client, 0)
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}

// awaitRefusals waits until Redis has refused commands for this reason: only then does the fault
// take effect.
func awaitRefusals(t *testing.T, client redis.UniversalClient, reason string) {
	t.Helper()
	await(t, "Redis refuses commands: "+reason, func() bool {
		info, err := client.Info(t.Context(), "errorstats").Result()
		return err == nil && strings.Contains(info, "errorstat_"+reason+":")
	})
}

func setMaxmemory(t *testing.T, client redis.UniversalClient, bytes int) {
	t.Helper()
	if err := client.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(bytes)).Err(); err != nil {
		t.Fatal(err)
	}
}

// One reply in thirty is lost after its command took effect.
func TestRepliesLost(t *testing.T) {
	b := startFixture(t, 0, nil)
	for range 2 {
		w := newInterceptor(t, b.RedisURL)
		w.reply = func([]byte, []byte) bool { return rand.IntN(30) != 0 }
		b.startWorker(t, b.withRedis(w.start().url))
	}
	l := startLoad(t.Context(), b, 0.02)
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}

func TestPubSubDropped(t *testing.T) {
	var w *interceptor
	b := startFixture(t, 2, func(c *stack.Config) {
		w = newInterceptor(t, "")
		w.drop = isPublished
		c.API["REDIS_URL"] = w.url
		c.OnRedis = func(url string) { w.upstream = url[len("unix://"):]; w.start() }
	})
	l := startLoad(t.Context(), b, 0.02)
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}

// The file system that Redis writes to is full for four seconds.
func TestDataDiskFull(t *testing.T) {
	disk := shortDir(t)
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	b := startFixture(t, 2, func(c *stack.Config) { c.Redis = []string{"--dir", disk} })
	l := startLoad(t.Context(), b, 0.02)
	l.awaitEnded(t, 100)
	ballast := filepath.Join(disk, "ballast")
	// fills all free space
	if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	// Redis could not write its append-only file, and so refuses writes.
	awaitRefusals(t, redistest.Client(t, b.RedisURL), "MISCONF")
	time.Sleep(4 * time.Second)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	l.verify(t, b.runs, time.Now(), mayLoseNothing)
}
