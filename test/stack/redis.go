package stack

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
)

// startRedis starts an empty redis-server on a socket in dir, with the settings that `cellblock up` uses.
func startRedis(ctx context.Context, dir string, args ...string) (*Process, string, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "", fmt.Errorf("redis-server is not on PATH (`make setup` installs it): %w", err)
	}
	socket := filepath.Join(dir, "redis.sock")
	p, err := start("redis", path, append([]string{
		"--port", "0", "--unixsocket", socket, "--dir", dir,
		"--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
		"--maxmemory-policy", "noeviction", "--loglevel", "warning",
	}, args...), nil)
	if err != nil {
		return nil, "", err
	}
	err = p.await(ctx, "listening", func() bool {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	if err != nil {
		p.Kill()
		return nil, "", err
	}
	return p, "unix://" + socket, nil
}
