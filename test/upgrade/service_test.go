package upgrade

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/internal/redistest"
	"cellblock/test/stack"
)

const (
	token         = "the-operators-token"
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	// webhookHost is the only address of this machine that webhooks may go to.
	webhookHost = "127.0.0.2"
	// slots is how many jobs each worker runs at once.
	slots = 4
)

// service is a Redis with API replicas and workers of both versions, whose sandboxes append to one file.
type service struct {
	*stack.Stack
	dir  string
	runs string
	// hooks receives webhooks.
	hooks *receiver
}

// startService starts Redis and the receiver of webhooks, and nothing else.
func startService(t *testing.T) *service {
	t.Helper()
	// Not t.TempDir: the sandboxes' users must be able to reach it.
	dir, err := os.MkdirTemp("", "cellblock-upgrade-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &service{dir: dir, runs: filepath.Join(dir, "runs"), hooks: startReceiver(t)}
	err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(s.runs, nil, 0o600), os.Chmod(s.runs, 0o666))
	if err != nil {
		t.Fatal(err)
	}
	if s.Stack, err = stack.StartRedis(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("UPGRADE_LOGS") != "" {
			t.Log(s.Logs())
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// startAPI starts an API replica of a version.
func (s *service) startAPI(t *testing.T, v version) (url string, _ *stack.Process) {
	t.Helper()
	url, p, err := s.StartReplicaOf(t.Context(), v.programs.API, stack.Env{
		"LOG_FORMAT": "json", "AUDIT_FILE": "off", "API_TOKEN": token, "SYNC_WAIT": "3s",
		"CALLBACK_SECRET": webhookSecret, "CALLBACK_ALLOW": webhookHost + "/32", "CALLBACK_PAUSE": "100ms",
	})
	if err != nil {
		t.Fatal(err)
	}
	return url, p
}

// startWorker starts a worker of a version, and returns once it takes jobs.
func (s *service) startWorker(t *testing.T, v version) *stack.Process {
	t.Helper()
	config := filepath.Join(s.dir, v.name+"-nsjail.cfg")
	text := v.nsjail + "\nmount { src: \"" + s.runs + "\" dst: \"/runs\" is_bind: true rw: true }\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := stack.Env{
		"NSJAIL_CONFIG": config, "PRELOAD": "", "WORKER_CONCURRENCY": fmt.Sprint(slots), "LOG_FORMAT": "json",
	}
	maps.Copy(env, environment.Settings())
	p, err := s.LaunchWorker(v.programs.Worker, env)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the "+v.name+" worker takes jobs", 60*time.Second, func() error {
		if p.Logged("worker started", "worker", nil) == "" {
			return errors.New(p.Log())
		}
		return nil
	})
	return p
}

// await returns once check returns nil, and fails the test with its last error after the bound.
func await(t *testing.T, what string, bound time.Duration, check func() error) {
	t.Helper()
	err := check()
	for deadline := time.Now().Add(bound); err != nil; err = check() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", bound, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitSettled waits until nothing of a job is left that has not ended.
func (s *service) awaitSettled(t *testing.T) {
	t.Helper()
	client := redistest.Client(t, s.RedisURL)
	await(t, "no job is open or waits", 45*time.Second, func() error {
		open, err := client.ZRange(t.Context(), "cellblock:{index}:open", 0, -1).Result()
		if err != nil || len(open) > 0 {
			return errors.Join(err, fmt.Errorf("open: %q", open))
		}
		for tenant, n := range client.HGetAll(t.Context(), "cellblock:{index}:open_by_tenant").Val() {
			if n != "0" {
				return fmt.Errorf("%s has %s open jobs", tenant, n)
			}
		}
		return noneWaits(t.Context(), client)
	})
}

// noneWaits returns an error if a job waits in a flow, which versions before the flows do not know.
func noneWaits(ctx context.Context, client redis.UniversalClient) error {
	keys, err := client.Keys(ctx, "cellblock:{flows}:*").Result()
	if err != nil || len(keys) > 0 {
		return errors.Join(err, fmt.Errorf("waiting: %q", keys))
	}
	return nil
}

// receiver counts the webhooks that it receives, by job.
type receiver struct {
	url string

	mu       sync.Mutex
	statuses map[string]string
	wrong    []error
}

func startReceiver(t *testing.T) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", webhookHost+":0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{url: "http://" + listener.Addr().String() + "/ended", statuses: map[string]string{}}
	stop, err := stack.ServeWebhooks(listener, webhookSecret,
		func(_ http.ResponseWriter, _ *http.Request, job stack.WebhookJob, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.statuses[job.JobID] = job.Status
			if err != nil {
				r.wrong = append(r.wrong, err)
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stop()
		if r.wrong != nil {
			t.Errorf("webhooks that are not valid: %v", errors.Join(r.wrong...))
		}
	})
	return r
}

// received returns the status in the webhook of a job, "" before it is received.
func (r *receiver) received(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.statuses[id]
}
