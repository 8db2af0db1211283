package operations

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"cellblock/api"
	"cellblock/client"
	"cellblock/test/stack"
)

// The secrets that TestRotation replaces.
const (
	newToken               = "the-operators-new-token"
	oldPassword            = "old-password"
	newPassword            = "new-password"
	oldCallback            = "whsec_b2xkLXNlY3JldC1vZi13ZWJob29rcy0xMjM0NTY3ODk="
	newCallback            = "whsec_bmV3LXNlY3JldC1vZi13ZWJob29rcy0xMjM0NTY3ODk="
	requestsAroundEachStep = 6
)

// rotation is a service with two replicas and two workers, and its load.
type rotation struct {
	*stack.Stack
	settings, worker stack.Env
	// urls are those of the replicas, and second is the second one.
	urls   []string
	second *stack.Process
	// bearer is the token of the clients.
	bearer atomic.Pointer[string]
	done   atomic.Int64
	runs   runs
}

// startRotation starts the service with the old secrets.
func startRotation(t *testing.T, callback string) *rotation {
	t.Helper()
	r := &rotation{settings: stack.Env{
		"API_TOKEN": token, "CALLBACK_SECRET": oldCallback, "CALLBACK_ALLOW": "127.0.0.0/8",
	}}
	r.runs, r.worker = newRuns(t)
	config := stack.Config{
		Programs: programs, API: r.settings, Workers: []stack.Env{r.worker, r.worker},
		Redis: []string{"--requirepass", oldPassword},
		OnRedis: func(url string) {
			r.worker["REDIS_URL"] = withPassword(url, oldPassword)
			r.settings["REDIS_URL"] = r.worker["REDIS_URL"]
		},
	}
	r.Stack = stack.StartFor(t, config)
	url, second, err := r.StartReplica(t.Context(), r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.urls, r.second = []string{r.URL, url}, second
	r.setBearer(token)
	r.load(t, callback)
	return r
}

func withPassword(url, password string) string {
	return strings.Replace(url, "unix://", "unix://:"+password+"@", 1)
}

func (r *rotation) setBearer(token string) { r.bearer.Store(&token) }

// load runs jobs until the test ends. A request that one replica refuses or drops goes to the other with the same key,
// as a proxy or a client does. All must succeed.
func (r *rotation) load(t *testing.T, callback string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				r.runOne(ctx, t, callback)
			}
		})
	}
}

var lastNumber atomic.Int64

// runOne runs a job at whichever replica takes it.
func (r *rotation) runOne(ctx context.Context, t *testing.T, callback string) {
	number := int(lastNumber.Add(1))
	request := client.Request{
		Script: script(number, false), CallbackURL: callback, IdempotencyKey: fmt.Sprintf("rotation-%06d", number),
	}
	var failures []string
	for deadline := time.Now().Add(stack.Scaled(20 * time.Second)); time.Now().Before(deadline); {
		for _, url := range r.urls {
			c, err := client.New(url, client.WithToken(*r.bearer.Load()), client.WithAttempts(1))
			if err != nil {
				t.Error(err)
				return
			}
			job, err := c.Run(ctx, request)
			c.Close()
			switch {
			case err == nil && job.Status == api.JobStatusSucceeded:
				r.done.Add(1)
				return
			case ctx.Err() != nil:
				return
			}
			failures = append(failures, fmt.Sprintf("%s: %v", url, err))
		}
	}
	t.Errorf("job %d: %v", number, failures)
}

// settle waits until the load has gone on.
func (r *rotation) settle(t *testing.T) {
	t.Helper()
	from := r.done.Load()
	await(t, "jobs go on", func() bool { return r.done.Load() >= from+requestsAroundEachStep })
}

// restart restarts the replicas, one after the other, with new settings.
func (r *rotation) restart(t *testing.T, settings stack.Env) {
	t.Helper()
	maps.Copy(r.settings, settings)
	if err := r.second.Stop(); err != nil {
		t.Fatal(err)
	}
	env := maps.Clone(r.settings)
	env["API_ADDR"] = strings.TrimPrefix(r.urls[1], "http://")
	_, second, err := r.StartReplica(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	r.second = second
	r.settle(t)
	if err := r.API.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.RestartAPI(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.settle(t)
}

// restartWorkers restarts the workers, one after the other.
func (r *rotation) restartWorkers(t *testing.T) {
	t.Helper()
	for _, old := range r.Workers() {
		if err := old.Stop(); err != nil {
			t.Fatal(err)
		}
		started, err := r.LaunchWorker(programs.Worker, r.worker)
		if err != nil {
			t.Fatal(err)
		}
		await(t, "the worker starts", func() bool { return started.Logged("worker started", "worker", nil) != "" })
		r.settle(t)
	}
}

// TestRotation replaces the password of Redis, API_TOKEN and CALLBACK_SECRET under load by the steps of
// docs/operations.md. No request fails, no job runs twice, and at the end nothing takes an old secret.
func TestRotation(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t)
	r := startRotation(t, receiver.url)
	blocks := stack.DocumentedCommands(t, manual, "Rotation of secrets")
	if len(blocks) != 1 || !strings.Contains(blocks[0], "# Here:") {
		t.Fatalf("the commands are %q", blocks)
	}
	add, remove, _ := strings.Cut(blocks[0], "# Here:")
	_, remove, _ = strings.Cut(remove, "\n")
	socket := strings.TrimPrefix(r.RedisURL, "unix://")
	cli := "redis-cli() { command redis-cli -s " + socket + " --no-auth-warning -e \"$@\"; }\n"
	r.settle(t)

	shell(t, cli+add, "REDISCLI_AUTH="+oldPassword, "NEW="+newPassword)
	r.worker["REDIS_URL"] = withPassword(r.RedisURL, newPassword)
	r.restart(t, stack.Env{
		"REDIS_URL": r.worker["REDIS_URL"], "API_TOKEN": newToken + " " + token,
		"CALLBACK_SECRET": newCallback + " " + oldCallback,
	})
	r.restartWorkers(t)
	shell(t, cli+remove, "REDISCLI_AUTH="+newPassword, "OLD="+oldPassword)
	r.setBearer(newToken)
	receiver.use(t, newCallback)
	r.settle(t)
	r.restart(t, stack.Env{"API_TOKEN": newToken, "CALLBACK_SECRET": newCallback})
	r.checkOldSecrets(t)
	r.runs.noneTwice(t)
	t.Logf("%d jobs and %d webhooks during the rotation", r.done.Load(), receiver.received.Load())
	if receiver.received.Load() == 0 {
		t.Error("no webhook came")
	}
}

// checkOldSecrets tries the old secrets.
func (r *rotation) checkOldSecrets(t *testing.T) {
	t.Helper()
	for _, url := range r.urls {
		_, err := open(t, url, token).Usage(t.Context(), client.UsageOptions{})
		if err == nil || !strings.Contains(err.Error(), "unauthorized") && !strings.Contains(err.Error(), "token") {
			t.Errorf("the old token at %s: %v", url, err)
		}
	}
	options, err := redis.ParseURL(withPassword(r.RedisURL, oldPassword))
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options)
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("the old password: %v", err)
	}
}

// receiver receives webhooks, and checks their signatures with one secret.
type receiver struct {
	url      string
	received atomic.Int64
	hook     atomic.Pointer[webhooks.Webhook]
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.use(t, oldCallback)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return // its sender ended
		}
		if err := r.hook.Load().Verify(body, request.Header); err != nil {
			t.Errorf("a webhook: %v", err)
		}
		r.received.Add(1)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// use makes the receiver check with another secret.
func (r *receiver) use(t *testing.T, secret string) {
	t.Helper()
	hook, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	r.hook.Store(hook)
}
