package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"cellblock/internal/nsjail/kernfile"
)

// find returns the hierarchies and the groups of this process in them, from the contents of
// /proc/self/mountinfo and /proc/self/cgroup (proc_pid_mountinfo(5), cgroups(7)). It chooses
// version 1 if that has the memory controller: each controller belongs to one version only.
func find(mountinfo, own string) (*Hierarchy, error) {
	mounts := cgroupMounts(mountinfo)
	paths := ownPaths(own)
	if h, err := findV1(mounts, paths); h != nil || err != nil {
		return h, err
	}
	for _, m := range mounts {
		if m.unified {
			return &Hierarchy{version: v2{}, parents: []string{m.own(paths[""])}}, nil
		}
	}
	return nil, errors.New("no cgroup hierarchy is mounted")
}

func findV1(mounts []cgroupMount, paths map[string]string) (*Hierarchy, error) {
	h := &Hierarchy{}
	parentOf := func(controller string) (int, bool) {
		for _, m := range mounts {
			if slices.Contains(m.controllers, controller) {
				dir := m.own(paths[controller])
				if i := slices.Index(h.parents, dir); i >= 0 {
					return i, true
				}
				h.parents = append(h.parents, dir)
				return len(h.parents) - 1, true
			}
		}
		return 0, false
	}
	var v v1
	var found [4]bool
	v.memory, found[0] = parentOf("memory")
	if !found[0] {
		return nil, nil
	}
	v.pids, found[1] = parentOf("pids")
	v.cpuacct, found[2] = parentOf("cpuacct")
	v.cpu, found[3] = parentOf("cpu")
	if slices.Contains(found[:], false) {
		return nil, errors.New("one of the cgroup v1 controllers memory, pids, cpu, cpuacct is not mounted")
	}
	h.version = v
	return h, nil
}

type cgroupMount struct {
	// root is the group that is mounted at point.
	root, point string
	unified     bool
	controllers []string
}

// own returns the directory of the group at path.
func (m cgroupMount) own(path string) string {
	relative, below := strings.CutPrefix(path, strings.TrimSuffix(m.root, "/"))
	if !below {
		relative = "/" // path is outside the mount: a container without a cgroup namespace
	}
	return filepath.Join(m.point, relative)
}

func cgroupMounts(mountinfo string) []cgroupMount {
	var mounts []cgroupMount
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(line, " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if len(head) < 5 || len(tail) < 3 {
			continue
		}
		m := cgroupMount{root: head[3], point: head[4]}
		switch tail[0] {
		case "cgroup":
			m.controllers = strings.Split(tail[2], ",")
		case "cgroup2":
			m.unified = true
		default:
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts
}

// ownPaths maps each controller to the group of this process; "" stands for version 2.
func ownPaths(own string) map[string]string {
	paths := map[string]string{}
	for line := range strings.Lines(own) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			paths[controller] = parts[2]
		}
	}
	return paths
}

func readInt(dir, file string) (int64, error) {
	content, err := kernfile.Read(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
}

// readField returns the value of a "key value" line.
func readField(dir, file, key string) (int64, error) {
	content, err := kernfile.Read(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == key {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %q", filepath.Join(dir, file), key)
}
