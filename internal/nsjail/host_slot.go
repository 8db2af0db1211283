package nsjail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// uidsPerWorker is the number of user ids of one worker. It exceeds the jobs that can run at once,
// so that an id is not reused right away. A zygote itself has the first id; jobs never do.
const uidsPerWorker = 4096

// maxWorkers is the most workers on one machine.
const maxWorkers = 256

// hostSlot is a worker's number on its machine. While it is held, no other worker with the same
// RUN_DIR has the same user ids or cgroup directory. The kernel releases the lock when the worker
// dies, for any reason.
type hostSlot struct {
	number int
	lock   *os.File
	// singleUID is true if the worker is not root and can map its own user id only.
	singleUID bool
	uidBase   int

	mu    sync.Mutex
	next  int
	inUse map[int]bool
}

// newHostSlot locks the lowest free number under dir.
func newHostSlot(dir string, uidBase int) (*hostSlot, error) {
	dir = filepath.Join(dir, "claims")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for n := range maxWorkers {
		lock, err := os.OpenFile(filepath.Join(dir, strconv.Itoa(n)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return &hostSlot{
				number: n, lock: lock, singleUID: os.Geteuid() != 0,
				uidBase: uidBase + n*uidsPerWorker, inUse: map[int]bool{},
			}, nil
		}
		_ = lock.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
		}
	}
	return nil, fmt.Errorf("%d workers run on this machine already", maxWorkers)
}

// groupName returns the name of the worker's cgroup directory. Slots exclude only workers that
// share a RUN_DIR, but workers with another RUN_DIR or in another container may share the cgroups.
// So the name contains the device and inode of the lock file.
func (c *hostSlot) groupName() string {
	var place unix.Stat_t
	_ = unix.Fstat(int(c.lock.Fd()), &place) // zeros are a valid name too
	return fmt.Sprintf("cellblock-%x-%x", place.Dev, place.Ino)
}

// jobUIDs is the number of user ids of a worker that sandboxes may have.
const jobUIDs = uidsPerWorker - 1

// MaxReady is the most sandboxes that a Provider keeps ready. Each pool of warm sandboxes keeps that
// many, as many run, and others are being made or torn down; each of them has its own user id.
const MaxReady = 512

const maxPools = 3

// uidsNeeded returns the most user ids in use at once, with ready sandboxes in each pool and as many
// running.
func uidsNeeded(ready int) int {
	beingMade, inTeardown := maxPools*maxConcurrentForks, cap(newTeardowns().slots)+ready
	return (maxPools+1)*ready + beingMade + inTeardown
}

// errNoUID is returned by acquire if every user id is in use.
var errNoUID = fmt.Errorf("all %d user ids of this worker are in use; is WORKER_CONCURRENCY too high, or do sandboxes not die?", jobUIDs)

// acquire returns a user id that no live sandbox has, or errNoUID if there is none. The caller must
// release it.
func (c *hostSlot) acquire() (int, error) {
	if c.singleUID {
		return os.Geteuid(), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inUse) >= jobUIDs {
		return 0, errNoUID
	}
	for {
		c.next = c.next%jobUIDs + 1
		id := c.uidBase + c.next
		if !c.inUse[id] {
			c.inUse[id] = true
			return id, nil
		}
	}
}

// firstUID returns the first user id outside of a zygote; uids returns how many it has.
func (c *hostSlot) firstUID() int {
	if c.singleUID {
		return os.Geteuid()
	}
	return c.uidBase
}

func (c *hostSlot) uids() int {
	if c.singleUID {
		return 1
	}
	return uidsPerWorker
}

// insideUID returns the user id that a fork takes inside, for its id outside.
func (c *hostSlot) insideUID(id int) int {
	if c.singleUID {
		return insideUID // in its own user namespace
	}
	return id - c.uidBase
}

func (c *hostSlot) release(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.inUse, id)
}

func (c *hostSlot) close() error { return c.lock.Close() }
