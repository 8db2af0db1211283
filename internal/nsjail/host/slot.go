package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// UIDsPerWorker is the number of user ids of one worker. It exceeds the jobs that can run at once,
// so that an id is not reused right away. A zygote itself has the first id; jobs never do.
const UIDsPerWorker = 4096

// maxWorkers is the most workers on one machine.
const maxWorkers = 256

// InsideUID is the user and group id of a script, as seen inside a cold sandbox, or a warm one that has a single user
// id to map.
const InsideUID = 1000

// Slot is a worker's number on its machine. While it is held, no other worker with the same
// RUN_DIR has the same user ids or cgroup directory. The kernel releases the lock when the worker
// dies, for any reason.
type Slot struct {
	// Number is 0 for the first worker.
	Number int
	lock   *os.File
	// SingleUID is true if the worker is not root and can map its own user id only, UIDBase.
	SingleUID bool
	// UIDBase is the first of the UIDs user ids outside that the worker may map.
	UIDBase, UIDs int

	mu    sync.Mutex
	next  int
	inUse map[int]bool
}

// newSlot locks the lowest free number under dir.
func newSlot(dir string, uidBase int) (*Slot, error) {
	dir = filepath.Join(dir, "claims") // the same in every version: workers of two versions must exclude each other
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
			s := &Slot{
				Number: n, lock: lock, UIDBase: uidBase + n*UIDsPerWorker, UIDs: UIDsPerWorker,
				inUse: map[int]bool{},
			}
			if own := os.Geteuid(); own != 0 {
				s.SingleUID, s.UIDBase, s.UIDs = true, own, 1
			}
			return s, nil
		}
		_ = lock.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
		}
	}
	return nil, fmt.Errorf("%d workers run on this machine already", maxWorkers)
}

// GroupName returns the name of the worker's cgroup directory. Slots exclude only workers that
// share a RUN_DIR, but workers with another RUN_DIR or in another container may share the cgroups.
// So the name contains the device and inode of the lock file.
func (s *Slot) GroupName() string {
	var place unix.Stat_t
	_ = unix.Fstat(int(s.lock.Fd()), &place) // zeros are a valid name too
	return fmt.Sprintf("cellblock-%x-%x", place.Dev, place.Ino)
}

// JobUIDs is the number of user ids of a worker that sandboxes may have.
const JobUIDs = UIDsPerWorker - 1

// errNoUID is returned by Acquire if every user id is in use.
var errNoUID = fmt.Errorf("all %d user ids of this worker are in use; "+
	"is WORKER_CONCURRENCY too high, or do sandboxes not die?", JobUIDs)

// Acquire returns a user id that no live sandbox has, or errNoUID if there is none. The caller must pass it to Release.
func (s *Slot) Acquire() (int, error) {
	if s.SingleUID {
		return s.UIDBase, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.inUse) >= JobUIDs {
		return 0, errNoUID
	}
	for {
		s.next = s.next%JobUIDs + 1
		id := s.UIDBase + s.next
		if !s.inUse[id] {
			s.inUse[id] = true
			return id, nil
		}
	}
}

// InsideUID returns the user id that a fork has inside, for its id outside.
func (s *Slot) InsideUID(id int) int {
	if s.SingleUID {
		return InsideUID // in its own user namespace
	}
	return id - s.UIDBase
}

// Release returns a user id of which no process is left.
func (s *Slot) Release(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inUse, id)
}

func (s *Slot) close() error { return s.lock.Close() }
