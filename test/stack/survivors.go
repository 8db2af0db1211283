package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// AdoptOrphans makes this program the parent of descendants whose parent dies, so that Survivors sees them all.
func AdoptOrphans() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// Survivors waits for at most patience for this program's descendants to exit, and describes those that are still
// alive. It reaps the dead ones, so call it after every stack was stopped.
func Survivors(patience time.Duration) []string {
	deadline := time.Now().Add(patience)
	for {
		var left []string
		for _, pid := range Descendants(os.Getpid()) {
			if reaped, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); err == nil && reaped == pid {
				continue
			}
			left = append(left, Describe(pid))
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Describe returns a line about a process: its id, what /proc calls its state, and its command line.
func Describe(pid int) string {
	status, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	_, after, _ := strings.Cut(string(status), "\nState:\t")
	state, _, _ := strings.Cut(after, "\n")
	return fmt.Sprintf("%d, %s: %s", pid, state, CommandLine(pid))
}

// Descendants returns the descendants of a process, including zombies.
func Descendants(pid int) []int {
	children := map[int][]int{}
	for _, child := range pids() {
		if parent, err := parentOf(child); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	var all []int
	for todo := []int{pid}; len(todo) > 0; {
		below := children[todo[0]]
		all, todo = append(all, below...), append(todo[1:], below...)
	}
	slices.Sort(all)
	return all
}

// ProcessesMatching returns the processes of this machine that have the text in their command line, except this one.
func ProcessesMatching(text string) []int {
	var found []int
	for _, pid := range pids() {
		if pid != os.Getpid() && strings.Contains(CommandLine(pid), text) {
			found = append(found, pid)
		}
	}
	return found
}

// CommandLine returns the command line of a process; "" for a zombie or one that is gone.
func CommandLine(pid int) string {
	content, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return strings.TrimSpace(strings.ReplaceAll(string(content), "\x00", " "))
}

func pids() []int {
	entries, _ := os.ReadDir("/proc")
	var all []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// parentOf reads field 4 of proc_pid_stat(5); the name before it may contain any character.
func parentOf(pid int) (int, error) {
	content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	after := string(content[strings.LastIndexByte(string(content), ')')+1:])
	fields := strings.Fields(after)
	if len(fields) < 2 {
		return 0, fmt.Errorf("process %d has an odd stat", pid)
	}
	return strconv.Atoi(fields[1])
}
