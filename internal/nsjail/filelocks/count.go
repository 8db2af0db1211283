package filelocks

import (
	"bytes"
	"os"
	"slices"
	"strconv"

	"cellblock/internal/nsjail/procstat"
)

// count counts the locks in /proc/locks by process, and assigns processes to jobs.
type count struct {
	roots map[int]*Job
	// jobOf has the jobs of processes; nil for a process that belongs to none.
	jobOf map[int]*Job
	held  map[int]int
	// seen has the locks that are counted. A lock may be in the list twice: the kernel finds the next page by the
	// number of lines before it, and a lock that is added meanwhile, by any program, moves the others.
	seen  map[string]struct{}
	lines int
	// rest is the incomplete last line of what was read so far.
	rest []byte
}

func newCount(roots map[int]*Job) *count {
	return &count{roots: roots, jobOf: map[int]*Job{}, held: map[int]int{}, seen: map[string]struct{}{}}
}

// add counts the lines of a part of the list.
func (c *count) add(part []byte) {
	text := slices.Concat(c.rest, part)
	for {
		line, after, complete := bytes.Cut(text, []byte("\n"))
		if !complete {
			c.rest = line
			return
		}
		c.lines++
		if pid, lock := parseLock(line); pid > 0 {
			if _, counted := c.seen[lock]; !counted {
				c.seen[lock] = struct{}{}
				c.held[pid]++
			}
		}
		text = after
	}
}

// parseLock returns the process that made the POSIX lock in a line of /proc/locks (proc_locks(5)), and what identifies
// the lock: process, file and range. It returns 0 for other locks. A line with an arrow is a process that waits for a
// lock, and the kernel has allocated that lock too.
//
//	1: POSIX  ADVISORY  WRITE 31255 00:1b:576 60 60
//	1: -> POSIX  ADVISORY  WRITE 31256 00:1b:576 60 60
func parseLock(line []byte) (pid int, lock string) {
	fields := bytes.Fields(line)
	if len(fields) > 1 && string(fields[1]) == "->" {
		fields = fields[1:]
	}
	if len(fields) < 8 || string(fields[1]) != "POSIX" {
		return 0, ""
	}
	pid, err := strconv.Atoi(string(fields[4]))
	if err != nil {
		return 0, ""
	}
	return pid, string(bytes.Join(fields[4:], []byte(" ")))
}

// over returns a job that holds more than limit locks, and their number so far; nil if there is none, or if it was
// notified before.
func (c *count) over(limit int) (*Job, int) {
	held := map[*Job]int{}
	for pid, locks := range c.held {
		job := c.jobFor(pid)
		if job == nil || job.notified {
			continue
		}
		if held[job] += locks; held[job] > limit {
			return job, held[job]
		}
	}
	return nil, 0
}

// deepest bounds the search for a job's process among the parents of a process.
const deepest = 1 << 16

// jobFor returns the job of a process: that of the first of its ancestors which is a job's root. Processes that lose
// their parent get pid 1 of their namespace for one, which is such a root.
func (c *count) jobFor(pid int) *Job {
	var passed []int
	var job *Job
	for range deepest {
		known, found := c.jobOf[pid]
		if !found {
			known, found = c.roots[pid]
		}
		if found {
			job = known
			break
		}
		passed = append(passed, pid)
		if pid = parent(pid); pid <= 1 {
			break
		}
	}
	for _, p := range passed {
		c.jobOf[p] = job
	}
	return job
}

// parent returns the parent of a process; 0 if the process is gone.
func parent(pid int) int {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := procstat.Fields(content)
	if len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return ppid
}
