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

// uidsPerWorker is how many user ids one worker holds; more than jobs that can
// run at once, so that an id rests before it is used again. The first is what a
// zygote itself has, and no job.
const uidsPerWorker = 4096

// maxWorkers bounds the workers of one machine.
const maxWorkers = 256

// claim is a worker's number on its machine. As long as it is held, no other
// worker there has the same user ids or cgroup folder; the kernel gives it up
// when the worker dies, however that happens.
type claim struct {
	number int
	lock   *os.File
	// single is true where only the worker's own user id can be mapped.
	single  bool
	uidBase int

	mu   sync.Mutex
	next int
	live map[int]bool
}

// newClaim takes the lowest free number under dir.
func newClaim(dir string, uidBase int) (*claim, error) {
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
			return &claim{
				number: n, lock: lock, single: os.Geteuid() != 0,
				uidBase: uidBase + n*uidsPerWorker, live: map[int]bool{},
			}, nil
		}
		_ = lock.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
		}
	}
	return nil, fmt.Errorf("%d workers run on this machine already", maxWorkers)
}

// groupName names the worker's cgroup folder. Claims hold among workers that
// share a RUN_DIR; cgroups may be shared by others too (another RUN_DIR, another
// container), so the place of the claims is part of the name.
func (c *claim) groupName() string {
	var place unix.Stat_t
	_ = unix.Fstat(int(c.lock.Fd()), &place) // zeros name a place as well
	return fmt.Sprintf("cellblock-%x-%x", place.Dev, place.Ino)
}

// jobIDs is how many user ids a worker has for sandboxes.
const jobIDs = uidsPerWorker - 1

// MaxReady is how many sandboxes a Maker can keep ready. Each of the pools of warm
// ones keeps as many, as many run, some are being made, and some are taken down
// behind their verdict: all have an id of their own.
const MaxReady = 512

const maxPools = 3

// idsNeeded is how many ids are taken at most, by so many ready sandboxes in each
// pool and as many that run.
func idsNeeded(ready int) int {
	beingMade, takenDown := maxPools*preparers, cap(newTeardowns().slots)+ready
	return (maxPools+1)*ready + beingMade + takenDown
}

// errNoIDs is returned by takeID when every id is taken.
var errNoIDs = fmt.Errorf("all %d user ids of this worker are in use; is WORKER_CONCURRENCY too high, or do sandboxes not die?", jobIDs)

// takeID takes a user id that no live sandbox has. The caller gives it back. It
// returns errNoIDs if there is none.
func (c *claim) takeID() (int, error) {
	if c.single {
		return os.Geteuid(), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.live) >= jobIDs {
		return 0, errNoIDs
	}
	for {
		c.next = c.next%jobIDs + 1
		id := c.uidBase + c.next
		if !c.live[id] {
			c.live[id] = true
			return id, nil
		}
	}
}

// firstID is the first user id outside that a zygote has, and ids their number.
func (c *claim) firstID() int {
	if c.single {
		return os.Geteuid()
	}
	return c.uidBase
}

func (c *claim) ids() int {
	if c.single {
		return 1
	}
	return uidsPerWorker
}

// inside gives the id that a fork is to take, for its id outside.
func (c *claim) inside(id int) int {
	if c.single {
		return insideID // in a user namespace of its own
	}
	return id - c.uidBase
}

func (c *claim) giveBack(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, id)
}

func (c *claim) close() error { return c.lock.Close() }
