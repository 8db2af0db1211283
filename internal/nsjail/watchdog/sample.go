package watchdog

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"cellblock/internal/nsjail/procstat"
)

// sample is what the kernel had counted for the first thread of a process at one time.
type sample struct {
	// state is the letter in /proc/<pid>/stat (proc_pid_stat(5)).
	state byte
	// ran is its CPU time, waited how long it waited for a processor until it got one.
	ran, waited time.Duration
}

// withheldSince returns how long the process could not go on since the sample before, because of the machine. The
// kernel adds a wait for a processor to the counter only when it is over.
func (s sample) withheldSince(before sample, tick time.Duration) time.Duration {
	switch s.state {
	case 'R', 'D':
		return max(0, tick-(s.ran-before.ran))
	default:
		return s.waited - before.waited
	}
}

// read samples a process.
func read(pid int) (sample, error) {
	proc := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return sample{}, err
	}
	s, err := parseStat(stat)
	if err != nil {
		return sample{}, err
	}
	// Without CONFIG_SCHED_INFO, and in gVisor, there is no such file; CPU time in ticks of the clock is left then.
	if counters, err := os.ReadFile(proc + "/schedstat"); err == nil {
		var ran, waited int64 // in nanoseconds (sched-stats.rst of the kernel)
		if n, _ := fmt.Sscan(string(counters), &ran, &waited); n == 2 {
			s.ran, s.waited = time.Duration(ran), time.Duration(waited)
		}
	}
	return s, nil
}

// clockTick is the unit of CPU times in /proc/<pid>/stat: USER_HZ is 100 on all architectures that Go knows.
const clockTick = 10 * time.Millisecond

// Indexes of fields of /proc/<pid>/stat after the program's name, from 0.
const (
	statState = 0
	statUser  = 11
	statKern  = 12
)

func parseStat(content []byte) (sample, error) {
	fields := procstat.Fields(content)
	if len(fields) <= statKern {
		return sample{}, errors.New("a short line in stat")
	}
	user, err := strconv.ParseInt(string(fields[statUser]), 10, 64)
	kernel, kernelErr := strconv.ParseInt(string(fields[statKern]), 10, 64)
	return sample{state: fields[statState][0], ran: time.Duration(user+kernel) * clockTick}, errors.Join(err, kernelErr)
}
