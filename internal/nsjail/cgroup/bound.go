package cgroup

import "path/filepath"

// ProcessBound returns the most processes and threads that the groups around the jobs allow together, such as that of
// the container; 0 if there is no bound, or it cannot be read.
func (h *Hierarchy) ProcessBound() int {
	bound := 0
	for _, parent := range h.parents {
		// Up to the root of the mount, which has no such file.
		for dir := parent; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			n, err := readInt(dir, "pids.max") // fails for "max"
			if err == nil && (bound == 0 || int(n) < bound) {
				bound = int(n)
			}
		}
	}
	return bound
}
