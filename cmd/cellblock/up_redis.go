package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"cellblock/internal/owndir"
	"cellblock/internal/supervise"
)

const (
	// maxSocketPath is the kernel's limit on a unix socket's path, in bytes.
	maxSocketPath = 107
	// redisStopWait is the time for writing the rest of the append-only file.
	redisStopWait = 10 * time.Second
	// lockWait is the time for the Redis of an earlier run to exit.
	lockWait = 2 * time.Second
)

// ownRedis is the Redis that `up` starts: a unix socket beside its data, no port, and an append-only file with every
// write.
type ownRedis struct {
	data   string
	socket string
	// lock is held by `up` and, inherited, by redis-server, so it is free only when both have exited. It is nil before
	// prepare.
	lock *os.File
}

func newOwnRedis(data string) (*ownRedis, error) {
	data, err := filepath.Abs(data)
	if err != nil {
		return nil, err
	}
	r := &ownRedis{data: data, socket: filepath.Join(data, "redis.sock")}
	if len(r.socket) > maxSocketPath {
		return nil, fmt.Errorf("the data folder's path is too long for a socket in it (%d bytes, at most %d): %s; "+
			"set CELLBLOCK_DATA to another",
			len(r.socket), maxSocketPath, data)
	}
	return r, nil
}

// url returns the address for the API and the workers.
func (r *ownRedis) url() string { return (&url.URL{Scheme: "unix", Path: r.socket}).String() }

// prepare creates the data folder and locks it.
func (r *ownRedis) prepare() error {
	if err := r.makeData(); err != nil {
		return fmt.Errorf("cannot create the data folder: %w; set CELLBLOCK_DATA to another", err)
	}
	lock, err := os.OpenFile(filepath.Join(r.data, "up.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("cannot use the data folder: %w; set CELLBLOCK_DATA to another", err)
	}
	if err := flock(lock); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(lock, 32))
		err = fmt.Errorf(
			"another `cellblock up` (process %s) uses %s; end it, or set CELLBLOCK_DATA to another folder: %w",
			strings.TrimSpace(string(holder)), r.data, err)
		return errors.Join(err, lock.Close())
	}
	r.lock = lock
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintln(lock, os.Getpid())
	return err
}

// makeData creates the data folder. In the system's temporary folder it refuses one that another user created, who
// could read or replace its files.
func (r *ownRedis) makeData() error {
	if strings.HasPrefix(r.data, filepath.Clean(os.TempDir())+"/") {
		return owndir.Make(r.data, 0o700)
	}
	return os.MkdirAll(r.data, 0o700)
}

// flock locks a file and retries for lockWait at most. It polls because the kernel's own wait has no timeout.
func flock(file *os.File) error {
	deadline := time.Now().Add(lockWait)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// program returns the redis-server to start. Call prepare first.
func (r *ownRedis) program() (supervise.Program, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return supervise.Program{}, errors.New(
			"redis-server is not on PATH; `make setup` installs it, or set REDIS_URL to use another Redis")
	}
	return supervise.Program{
		Name: "redis",
		Path: path,
		Args: []string{
			"--port", "0",
			"--unixsocket", r.socket,
			"--unixsocketperm", "700",
			"--dir", r.data,
			"--appendonly", "yes",
			"--appendfsync", "everysec",
			"--save", "", // the append-only file has everything
			// As in docker-compose.yml. With a full memory Redis must refuse new jobs, not evict old ones.
			"--maxmemory", "512mb",
			"--maxmemory-policy", "noeviction",
			"--daemonize", "no",
			"--loglevel", "warning",
		},
		Env:      childEnvironment(),
		Inherit:  []*os.File{r.lock},
		StopWait: redisStopWait,
		// Not SIGKILL: on SIGTERM it writes its data and exits.
		DeathSignal: syscall.SIGTERM,
	}, nil
}

// release unlocks the folder. It keeps the file: after a removal, two processes could hold locks on two files.
func (r *ownRedis) release() error {
	if r.lock == nil {
		return nil
	}
	return r.lock.Close()
}
