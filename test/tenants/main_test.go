package tenants

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellblock/test/stack"
)

const (
	// apiToken is the operator's.
	apiToken = "the-operators-token-58203"
	// webhookSecret signs the operator's webhooks, and those of tenants are derived from it.
	webhookSecret = "whsec_c2VjcmV0LW9mLXRoZS1zZXJ2aWNlLTEyMzQ1Njc4OTA="
	// namedTenant is the only one with metrics of its own.
	namedTenant = "globex"
	// busyEnvironment is an environment in which jobs wait: acme's running job has the only slot.
	busyEnvironment = stack.Neighbour
)

// world is the service under attack.
var world struct {
	*stack.Stack

	// replica is the URL of a second API, with small bounds.
	replica string
	// metrics is the URL of API_METRICS_ADDR.
	metrics string
	// auditFile is the audit log of the first API.
	auditFile string
	operator  *actor
	acme      *actor
	mallory   *actor
	owned     property
	webhooks  *receiver
}

func TestMain(m *testing.M) {
	stack.RunAtOnce(6)
	stack.Main(m, "tenants", run)
}

// run returns the tests' exit code, and an error for a failure around them.
func run(m *testing.M) (code int, err error) {
	if err := stack.AdoptOrphans(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "cellblock-tenants-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	environment, err := stack.OpenEnvironment("")
	if err != nil {
		return 1, err
	}
	defer func() {
		err = errors.Join(err, environment.Close())
		if left := stack.Survivors(2 * time.Second); len(left) > 0 {
			err = errors.Join(err, fmt.Errorf("processes are left:\n%s", strings.Join(left, "\n")))
		}
	}()
	if world.webhooks, err = startReceiver(); err != nil {
		return 1, err
	}
	defer world.webhooks.close()
	ctx := context.Background()
	if err := startService(ctx, dir, environment); err != nil {
		return 1, errors.Join(err, stack.StopAll(world.Stack))
	}
	defer func() { err = errors.Join(err, world.Stop()) }()
	if err := makeTenants(ctx); err != nil {
		return 1, errors.Join(err, endJobs(ctx))
	}
	code = m.Run()
	return code, endJobs(ctx)
}

// startService starts two replicas of the API, a worker for the attempts, and one for busyEnvironment.
func startService(ctx context.Context, dir string, environment stack.Environment) error {
	programs, err := stack.FindOrBuild(ctx, os.Getenv("TENANTS_PROGRAMS"), dir)
	if err != nil {
		return err
	}
	worker := stack.Env{
		"WORKER_CONCURRENCY": "4", "PRELOAD": "", "PRELOAD_ON_DEMAND": "", "LIMIT_WALL": "5m", "LIMIT_CPU": "30s",
		"DRAIN_TIMEOUT": "6m",
	}
	metrics, err := freePort()
	if err != nil {
		return err
	}
	world.metrics, world.auditFile = "http://"+metrics, filepath.Join(dir, "audit.jsonl")
	api := stack.Env{
		"API_TOKEN": apiToken, "CALLBACK_SECRET": webhookSecret, "CALLBACK_ALLOW": "127.0.0.0/8",
		"LIMIT_WALL": "5m", "LIMIT_CPU": "30s", "SYNC_WAIT": stack.Scaled(20 * time.Second).String(),
		"METRICS_TENANTS": namedTenant, "SHUTDOWN_TIMEOUT": "2s",
	}
	first := with(api, stack.Env{"API_METRICS_ADDR": metrics, "AUDIT_FILE": world.auditFile})
	world.Stack, err = stack.Start(ctx, stack.Config{Programs: programs, API: first, Workers: []stack.Env{worker}})
	if err != nil {
		return err
	}
	small := with(api, stack.Env{
		"AUDIT_FILE": "off", "QUEUE_LIMIT": "60", "STORED_FILES_MB": "8",
		"MAX_CONNECTIONS": "64", "MAX_CONNECTIONS_PER_ADDRESS": "32",
	})
	if world.replica, _, err = world.StartReplica(ctx, small); err != nil {
		return err
	}
	busy := with(worker, environment.Settings())
	busy["WORKER_CONCURRENCY"] = "1"
	_, err = world.StartWorker(ctx, busy)
	return err
}

// with returns settings with others on top.
func with(settings, others stack.Env) stack.Env {
	merged := stack.Env{}
	for _, set := range []stack.Env{settings, others} {
		for name, value := range set {
			merged[name] = value
		}
	}
	return merged
}

// freePort returns an address on loopback on which nothing listens.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// makeTenants creates the keys, and what belongs to acme.
func makeTenants(ctx context.Context) (err error) {
	world.operator = newActor("operator", apiToken)
	for name, to := range map[string]**actor{"acme": &world.acme, "mallory": &world.mallory} {
		key, err := createKey(keySpec{Tenant: name, Scopes: []string{"run", "read", "cancel"}})
		if err != nil {
			return err
		}
		*to = newActor(name, key.Key)
		(*to).keyID = key.KeyID
	}
	world.owned, err = makeProperty(ctx)
	return err
}
