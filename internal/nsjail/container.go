package nsjail

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Container runtimes cover parts of /proc. The kernel then lets nobody below
// mount a fresh one (mount_namespaces(7)), and no sandbox can be made. Whoever
// has CAP_SYS_ADMIN may mount one beside it first, which is whole and counts.

// uncoverProc mounts a whole /proc under dir, if this process's own is covered
// and it may. It stays as long as the container: other workers count on it too.
// Sandboxes see nothing of it.
func uncoverProc(dir string) error {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	at := filepath.Join(dir, "proc")
	if points := mountPoints(string(mountinfo)); !procCovered(points) || points[at] {
		return nil
	}
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	return unix.Mount("proc", at, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

// mountPoints are the fifth fields of /proc/self/mountinfo (proc_pid_mountinfo(5)).
func mountPoints(mountinfo string) map[string]bool {
	points := map[string]bool{}
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 {
			points[fields[4]] = true
		}
	}
	return points
}

// procCovered reports whether something is mounted over a part of /proc that is
// not empty: what systemd mounts at an empty place there does no harm.
func procCovered(points map[string]bool) bool {
	for point := range points {
		if strings.HasPrefix(point, "/proc/") && point != "/proc/sys/fs/binfmt_misc" {
			return true
		}
	}
	return false
}

// missing names, in one line, what this machine or container denies to
// sandboxes; empty if nothing is found.
func (s Settings) missing() string {
	var found []string
	if !s.canUnshare() {
		found = append(found, whyNoNamespaces())
	}
	mountinfo, _ := os.ReadFile("/proc/self/mountinfo")
	points := mountPoints(string(mountinfo))
	if procCovered(points) && !points[filepath.Join(s.runDir(), "proc")] {
		found = append(found, "parts of /proc are covered, so that sandboxes get none of their own: --security-opt systempaths=unconfined is missing (or --cap-add=SYS_ADMIN as root, or --privileged)")
	}
	if profile, _ := os.ReadFile("/proc/self/attr/current"); bytes.Contains(profile, []byte("(enforce)")) {
		found = append(found, "AppArmor's profile "+strings.Fields(string(profile))[0]+" is in force and may forbid mounts: --security-opt apparmor=unconfined is missing")
	}
	if len(found) == 0 && filtered() {
		found = append(found, "a seccomp filter is in force and may forbid what nsjail does: "+seccompFlag)
	}
	return strings.Join(found, "; ")
}

const seccompFlag = "--security-opt seccomp=unconfined is missing (or seccomp=deploy/compose/seccomp.json, or --privileged)"

// filtered reports whether this process is under a seccomp filter.
func filtered() bool {
	status, _ := os.ReadFile("/proc/self/status")
	return bytes.Contains(status, []byte("\nSeccomp:\t2"))
}

// canUnshare tries out whether a process in namespaces of its own can be made.
func (s Settings) canUnshare() bool {
	cmd := exec.Command(s.Nsjail, "--help") //nolint:gosec,noctx // the operator's nsjail; it prints and ends
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}
	err := cmd.Run()
	return !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EINVAL)
}

func whyNoNamespaces() string {
	switch {
	case number("/proc/sys/user/max_user_namespaces") == 0:
		return "user namespaces are switched off: the machine needs user.max_user_namespaces above 0"
	case number("/proc/sys/kernel/unprivileged_userns_clone") == 0 && os.Geteuid() != 0:
		return "user namespaces are for root only: the machine needs kernel.unprivileged_userns_clone=1"
	case filtered():
		return "a seccomp filter forbids namespaces: " + seccompFlag
	default:
		return "namespaces cannot be made: the worker needs root or unprivileged user namespaces"
	}
}

// number reads a file with one number; -1 where there is none.
func number(path string) int {
	content, err := os.ReadFile(path)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return -1
	}
	return n
}
