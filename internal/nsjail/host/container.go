package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Container runtimes cover parts of /proc. The kernel then refuses a new mount of /proc in the
// namespaces below (mount_namespaces(7)), and no sandbox can start. With CAP_SYS_ADMIN, the worker
// can first mount another, complete /proc, which satisfies the kernel.

// uncoverProc mounts a complete /proc under dir if that of this process is covered. It stays
// mounted as long as the container lives, because other workers depend on it too. Sandboxes cannot
// see it. An error is returned if this process may not mount.
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

// mountPoints returns the mount points in /proc/self/mountinfo: its fifth fields
// (proc_pid_mountinfo(5)).
func mountPoints(mountinfo string) map[string]bool {
	points := map[string]bool{}
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 {
			points[fields[4]] = true
		}
	}
	return points
}

// procCovered reports whether something is mounted over a non-empty part of /proc. What systemd
// mounts over an empty directory there does not matter.
func procCovered(points map[string]bool) bool {
	for point := range points {
		if strings.HasPrefix(point, "/proc/") && point != "/proc/sys/fs/binfmt_misc" {
			return true
		}
	}
	return false
}

// Explain prefixes an error from starting a sandbox with what this machine or container denies to sandboxes.
func (h *Host) Explain(err error) error {
	if missing := h.Settings.denials(); missing != "" {
		return fmt.Errorf("%s (%w)", missing, err)
	}
	return err
}

// denials returns, in one line, what this machine or container denies to sandboxes; "" if nothing
// is found.
func (s Settings) denials() string {
	var found []string
	if !s.canUnshare() {
		found = append(found, namespaceDenial())
	}
	mountinfo, _ := os.ReadFile("/proc/self/mountinfo")
	points := mountPoints(string(mountinfo))
	if procCovered(points) && !points[filepath.Join(s.runDir(), "proc")] {
		found = append(found, "parts of /proc are covered, so that sandboxes get none of their own: "+
			"--security-opt systempaths=unconfined is missing (or --cap-add=SYS_ADMIN as root, or --privileged)")
	}
	if profile, _ := os.ReadFile("/proc/self/attr/current"); bytes.Contains(profile, []byte("(enforce)")) {
		found = append(found,
			"AppArmor's profile "+strings.Fields(string(profile))[0]+" is in force and may forbid mounts: "+
				"--security-opt apparmor=unconfined is missing")
	}
	if len(found) == 0 && underSeccomp() {
		found = append(found, "a seccomp filter is in force and may forbid what nsjail does: "+seccompFlag)
	}
	return strings.Join(found, "; ")
}

const seccompFlag = "--security-opt seccomp=unconfined is missing " +
	"(or seccomp=deploy/compose/seccomp.json, or --privileged)"

// underSeccomp reports whether this process is under a seccomp filter.
func underSeccomp() bool {
	status, _ := os.ReadFile("/proc/self/status")
	return bytes.Contains(status, []byte("\nSeccomp:\t2"))
}

// canUnshare reports whether a process can be started in new namespaces.
func (s Settings) canUnshare() bool {
	cmd := exec.Command(s.Nsjail, "--help") //nolint:gosec,noctx // the operator's nsjail; it prints and ends
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}
	err := cmd.Run()
	return !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EINVAL)
}

func namespaceDenial() string {
	switch {
	case readNumber("/proc/sys/user/max_user_namespaces") == 0:
		return "user namespaces are switched off: the machine needs user.max_user_namespaces above 0"
	case readNumber("/proc/sys/kernel/unprivileged_userns_clone") == 0 && os.Geteuid() != 0:
		return "user namespaces are for root only: the machine needs kernel.unprivileged_userns_clone=1"
	case underSeccomp():
		return "a seccomp filter forbids namespaces: " + seccompFlag
	default:
		return "namespaces cannot be made: the worker needs root or unprivileged user namespaces"
	}
}

// readNumber returns the number in a file; -1 if there is none.
func readNumber(path string) int {
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
