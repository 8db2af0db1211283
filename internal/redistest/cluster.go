package redistest

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of primaries without replicas, which end with the test.
type Cluster struct {
	// Addrs are the addresses of its servers.
	Addrs []string

	buses []string
}

// StartCluster starts a cluster of n servers, of which each has an equal range of the slots.
func StartCluster(t testing.TB, n int) Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("needs redis-server")
	}
	c := Cluster{}
	for range n {
		addr, bus := startClusterServer(t)
		c.Addrs, c.buses = append(c.Addrs, addr), append(c.buses, bus)
	}
	const slots = 16384
	for i := range c.Addrs {
		server := c.Server(t, i)
		must(t, server.ClusterAddSlotsRange(t.Context(), i*slots/n, (i+1)*slots/n-1).Err())
		must(t, server.Do(t.Context(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		if i > 0 {
			host, port, _ := net.SplitHostPort(c.Addrs[0])
			must(t, server.Do(t.Context(), "CLUSTER", "MEET", host, port, c.buses[0]).Err())
		}
	}
	for i := range c.Addrs {
		c.await(t, i)
	}
	return c
}

// Server returns a client of one server, which is closed with the test.
func (c Cluster) Server(t testing.TB, i int) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: c.Addrs[i], DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Client returns a client of the cluster, which is closed with the test.
func (c Cluster) Client(t testing.TB) *redis.ClusterClient {
	t.Helper()
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.Addrs, ContextTimeoutEnabled: true, DisableIdentity: true, DisableRoutingPolicies: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// await waits until a server knows all others and their slots.
func (c Cluster) await(t testing.TB, i int) {
	t.Helper()
	server := c.Server(t, i)
	ctx, cancel := context.WithTimeout(t.Context(), 2*startBound)
	defer cancel()
	for {
		shards, err := server.ClusterShards(ctx).Result()
		info, _ := server.ClusterInfo(ctx).Result()
		if err == nil && len(shards) == len(c.Addrs) && strings.Contains(info, "cluster_state:ok") {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the cluster is not complete at %s: %v, %s", c.Addrs[i], shards, info)
		}
	}
}

// startClusterServer starts a server, and returns its address and the port on which others reach it.
func startClusterServer(t testing.TB) (addr, bus string) {
	t.Helper()
	dir := t.TempDir()
	ports := freePorts(t, 2)
	server := exec.CommandContext(t.Context(), "redis-server", //nolint:gosec // ports of our own
		"--port", ports[0], "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-port", ports[1],
		"--cluster-require-full-coverage", "no", "--cluster-node-timeout", "5000", "--dir", dir, "--save", "",
		"--logfile", filepath.Join(dir, "log"))
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	addr = net.JoinHostPort("127.0.0.1", ports[0])
	client := redis.NewClient(&redis.Options{Addr: addr, DisableIdentity: true})
	defer func() { _ = client.Close() }()
	for deadline := time.Now().Add(startBound); client.Ping(t.Context()).Err() != nil; {
		if time.Now().After(deadline) {
			t.Fatal("redis-server does not answer")
		}
		time.Sleep(2 * time.Millisecond)
	}
	return addr, ports[1]
}

// freePorts returns ports that nothing listens on.
func freePorts(t testing.TB, n int) (ports []string) {
	t.Helper()
	var listeners []net.Listener
	defer func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}()
	for range n { // all open at once, so that no port comes twice
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		must(t, err)
		listeners = append(listeners, listener)
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			t.Fatal(fmt.Errorf("%T is no TCP address", listener.Addr()))
		}
		ports = append(ports, strconv.Itoa(address.Port))
	}
	return ports
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
