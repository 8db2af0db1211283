package cgroup

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"cellblock/internal/nsjail/watchdog"
)

// removeBound is how long Remove waits for the last processes, as package watchdog counts time: a dead process stays in
// its group until it is reaped.
const removeBound = 2 * time.Second

// Bounds of what dead jobs leave in the kernel's memory. By itself, the kernel frees it only when memory is short.
const (
	// maxKernelBytesLeft is for entries of the file system's cache, such as names that do not exist: some 700 MB from
	// one job. They stay, charged to the worker's group, when the job's group is removed.
	maxKernelBytesLeft = 16 << 20
	// maxDying is for removed groups. The kernel keeps one, of some 20 KB, while any page of a file that its job was
	// the first to read is cached.
	maxDying = 1000
	// dyingChecks is the number of removals for each check of that.
	dyingChecks = 32
)

// reclaim frees what a dead job has left if that is too much. Otherwise it stays: the next job may need the same files.
// A job that never had as much memory has not left as much.
func (g *Group) reclaim() {
	small := g.peakBytes >= 0 && g.peakBytes < maxKernelBytesLeft
	if small && g.removals.Add(1)%dyingChecks != 0 {
		return
	}
	kernelBytes, dying, err := g.version.left(g.dirs)
	if err == nil && (kernelBytes > maxKernelBytesLeft || dying > maxDying) {
		// Where it is not possible the kernel does it later.
		_ = g.version.reclaim(g.dirs)
	}
}

// Remove frees what the group's processes have left in the kernel, and deletes the group. It waits for its last
// processes to be reaped, for removeBound.
func (g *Group) Remove(ctx context.Context) error {
	if g == nil {
		return nil
	}
	g.reclaim()
	return g.remove(ctx)
}

func (g *Group) remove(ctx context.Context) error {
	var errs []error
	for _, dir := range g.dirs {
		errs = append(errs, removeDir(ctx, dir))
	}
	return errors.Join(errs...)
}

// removeDir retries until ctx is done: version 1 has no event for a group that became removable.
func removeDir(ctx context.Context, dir string) error {
	err := rmdir(dir)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	ctx, cancel := watchdog.Context(ctx, removeBound, func() []int { return pids(dir) })
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		if err = rmdir(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
}

// rmdir removes a directory. os.Remove would first try to remove a file.
func rmdir(dir string) error {
	if err := unix.Rmdir(dir); err != nil {
		return &os.PathError{Op: "rmdir", Path: dir, Err: err}
	}
	return nil
}
