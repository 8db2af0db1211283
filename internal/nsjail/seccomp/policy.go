// Package seccomp holds the list of system calls that user code may make. It renders the list as
// the Kafel policy that nsjail compiles and as the BPF filter that the runner installs.
//
// It is an allow-list. Other calls fail: with EACCES if they would reach a network, with EPERM if
// they are refused on purpose, and with ENOSYS if they are unknown, so that a libc newer than this
// list falls back. A call that is allowed with some arguments only names its own error. Calls that
// wait for the disk succeed and do nothing.
//
// calls.go has the calls and conditions.go the conditions; docs/kernel-surface.md shows them all, and a
// test holds it to them.
package seccomp

import (
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Arch is an architecture with a policy; the values are those of GOARCH.
type Arch string

// The architectures that Cellblock runs on.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// number returns the number of the call on a; false if a has no such call.
func (a Arch) number(name string) (int, bool) {
	pair, known := numbers[name]
	if !known {
		return 0, false
	}
	n := pair[0]
	if a == ARM64 {
		n = pair[1]
	}
	return n, n >= 0
}

// Options are what an operator may add to the list.
type Options struct {
	// Epoll allows the calls of epoll.
	Epoll bool
	// GVisor refuses to set the limits that gVisor does not have. A filter before this one pretends to set them
	// (package gvisor).
	GVisor bool
}

// list holds the calls of an architecture that are allowed, and those that fail in a way of their
// own; all others are refused with EPERM.
type list struct {
	arch        Arch
	allowed     []string
	conditional []rule
	absent      []string
}

// forUserCode returns the list for user code.
func forUserCode(a Arch, o Options) list {
	l := list{a, allowed, conditional(a), absent}
	if o.GVisor {
		i := slices.IndexFunc(l.conditional, func(r rule) bool { return r.Name == "prlimit64" })
		l.conditional[i] = gvisorLimits()
	}
	if o.Epoll {
		l.allowed = slices.Concat(allowed, epoll)
	} else {
		l.absent = slices.Concat(absent, epoll)
	}
	return l
}

// gvisorLimits allows a process to read any limit of its own, and to set those before RLIMIT_LOCKS.
func gvisorLimits() rule {
	const newLimit = 2
	own := condition{0, intMask, 0}
	r := rule{
		Name: "prlimit64", Errno: syscall.EPERM, AnyOf: [][]condition{{own, {newLimit, pointerMask, 0}}},
	}
	for resource := range uint64(unix.RLIMIT_LOCKS) {
		r.AnyOf = append(r.AnyOf, []condition{own, {1, intMask, resource}})
	}
	return r
}

// forZygotes returns the list for zygotes. Their rule for a call replaces the one for user code.
// Without Options.Epoll a zygote has no epoll either: the selectors module chooses when it is
// imported.
func forZygotes(a Arch, o Options) list {
	o.GVisor = false // they set the limits of user code
	l := forUserCode(a, o)
	l.allowed = slices.Concat(l.allowed, zygoteAllowed)
	rules := zygoteRules()
	for _, r := range l.conditional {
		if !slices.ContainsFunc(rules, func(own rule) bool { return own.Name == r.Name }) {
			rules = append(rules, r)
		}
	}
	l.conditional = rules
	return l
}

// zygoteRules returns what a zygote may do in addition: create and enter exactly the namespaces of
// a sandbox, mount its file systems, and drop privileges. The filter of the runner takes all of it
// from user code. Flags: include/uapi/linux/{sched,mount,prctl}.h.
func zygoteRules() []rule {
	const (
		newUser, newPID, newCgroup  = 0x10000000, 0x20000000, 0x02000000
		newNet, newMountIPC         = 0x40000000, 0x08020000
		collapse                    = 25 // MADV_COLLAPSE, Linux 6.1
		noSuidNoDev, noExec, rdonly = 0x6, 0x8, 0x1
	)
	return []rule{
		argIn("unshare", syscall.EPERM, 0, newPID, newCgroup, newNet, newMountIPC, newUser),
		argIn("setns", syscall.EPERM, 1, newPID, newNet),
		argIn("madvise", syscall.EINVAL, 2, append(slices.Clone(advice), collapse)...),
		argIn("mount", syscall.EPERM, 3, noSuidNoDev, noSuidNoDev|noExec, noSuidNoDev|noExec|rdonly),
		// Also PR_CAPBSET_DROP, PR_GET_TID_ADDRESS and PR_CAP_AMBIENT.
		argIn("prctl", syscall.EPERM, 0, 1, 2, 3, 4, 15, 16, 21, 23, 24, 29, 30, 38, 39, 40, 47),
	}
}

// refusedNames returns the calls that fail with EPERM: those with a number that no list names.
func (l list) refusedNames() []string {
	named := map[string]bool{}
	for _, group := range [][]string{l.allowed, unreachable, l.absent, ignored} {
		for _, name := range group {
			named[name] = true
		}
	}
	for _, r := range l.conditional {
		named[r.Name] = true
	}
	var names []string
	for name := range numbers {
		if _, exists := l.arch.number(name); exists && !named[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
