package faults

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"cellblock/test/stack"
)

// redisServer starts another redis-server, which ends with the test.
func redisServer(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("redis-server", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// sentinels starts three sentinels for a primary, and returns their addresses.
func sentinels(t *testing.T, primaryPort string) string {
	t.Helper()
	var addresses []string
	for range 3 {
		address := freeAddress(t)
		_, port, _ := net.SplitHostPort(address)
		config := filepath.Join(shortDir(t), "sentinel.conf")
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 %s 2\n"+
			"sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 4000\n",
			port, primaryPort)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		redisServer(t, config, "--sentinel")
		addresses = append(addresses, address)
	}
	return strings.Join(addresses, ",")
}

// The primary dies under load and a replica takes over. Redis replicates asynchronously, so jobs
// that only the old primary had are lost (404). Workers wait for the replication of a start claim, so
// none of the lost jobs ran, and no other runs twice.
func TestSentinelFailover(t *testing.T) {
	primary, replica := freeAddress(t), freeAddress(t)
	_, primaryPort, _ := net.SplitHostPort(primary)
	_, replicaPort, _ := net.SplitHostPort(replica)
	dir := shortDir(t)
	b := startFixture(t, 2, func(c *stack.Config) {
		c.Redis = []string{"--port", primaryPort, "--bind", "127.0.0.1"}
		c.OnRedis = func(string) {
			redisServer(t, "--port", replicaPort, "--bind", "127.0.0.1", "--dir", dir, "--save", "",
				"--appendonly", "yes",
				"--replicaof", "127.0.0.1 "+primaryPort)
			awaitReplica(t, replica)
			watched := sentinels(t, primaryPort)
			awaitSentinels(t, strings.Split(watched, ","))
			for _, env := range append(c.Workers, c.API) {
				env["REDIS_SENTINELS"] = watched
				env["FENCE_REPLICAS"] = "1"
			}
		}
	})
	l := startLoad(t.Context(), b, 0.02)
	l.awaitEnded(t, 100)
	b.Redis.Kill()
	killed := time.Now()
	// The new primary has no replica, so nothing starts until there is one again.
	time.Sleep(6 * time.Second)
	third := freeAddress(t)
	_, thirdPort, _ := net.SplitHostPort(third)
	redisServer(t, "--port", thirdPort, "--bind", "127.0.0.1", "--dir", shortDir(t), "--save", "", "--replicaof",
		"127.0.0.1 "+replicaPort)
	b.RedisURL = "redis://" + replica
	l.verify(t, b.runs, killed, mayLoseQueued)
}

func awaitReplica(t *testing.T, address string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	await(t, "the replica is in step", func() bool {
		info, err := client.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
}

func awaitSentinels(t *testing.T, addresses []string) {
	t.Helper()
	for _, address := range addresses {
		client := redis.NewClient(&redis.Options{Addr: address})
		await(t, "the sentinels know each other and the replica", func() bool {
			info, err := client.Info(t.Context(), "sentinel").Result()
			return err == nil && strings.Contains(info, "slaves=1,sentinels=3")
		})
		_ = client.Close()
	}
}

func await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
