package stack

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CgroupDirs returns the folders of a process's cgroups, one for each mounted hierarchy; none for a process that is
// gone.
func CgroupDirs(pid int) []string {
	mounts := cgroupMounts()
	var dirs []string
	for line := range lines(filepath.Join("/proc", strconv.Itoa(pid), "cgroup")) {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		controller, _, _ := strings.Cut(parts[1], ",")
		if mount, ok := mounts[controller]; ok {
			dirs = append(dirs,
				filepath.Join(mount.point, strings.TrimPrefix(parts[2], strings.TrimSuffix(mount.root, "/"))))
		}
	}
	return dirs
}

type cgroupMount struct{ root, point string }

// cgroupMounts maps each controller to the mount point of its hierarchy; the unified hierarchy has the controller "".
func cgroupMounts() map[string]cgroupMount {
	found := map[string]cgroupMount{}
	for line := range lines("/proc/self/mountinfo") {
		before, after, _ := strings.Cut(line, " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if len(head) < 5 || len(tail) < 3 {
			continue
		}
		mount := cgroupMount{root: head[3], point: head[4]}
		switch tail[0] {
		case "cgroup2":
			found[""] = mount
		case "cgroup":
			for option := range strings.SplitSeq(tail[2], ",") {
				found[option] = mount
			}
		}
	}
	return found
}

// lines iterates over the lines of a file; none if it cannot be read.
func lines(path string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		f, err := os.Open(path)
		if err != nil {
			return
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if !yield(s.Text()) {
				return
			}
		}
	}
}
