// Package seccomp holds the one list of system calls that user code may make,
// and turns it into two things: the Kafel policy that nsjail compiles, and the BPF
// filter that the runner installs.
//
// It is an allow-list. A call that is not on it fails: with EACCES where it
// would reach a network, with EPERM where it is refused on purpose, and with
// ENOSYS where it is unknown, so that a libc newer than this list falls back.
package seccomp

import (
	"slices"
	"syscall"
)

// Arch is an architecture that a policy can be made for; the values are GOARCH's.
type Arch string

// The architectures that Cellblock runs on.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// number gives the call's number on a, and false where it does not exist.
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

// condition holds if argument Arg, masked, equals Value. Mask has the bits that
// the kernel looks at, or fewer: with more, a caller that leaves rubbish in a
// register's high half (which its ABI allows) would be refused; with a deny-list
// it would get past.
type condition struct {
	Arg   int
	Mask  uint64
	Value uint64
}

const (
	// anInt is the mask for arguments that the kernel takes as int or unsigned int.
	anInt = 0xffffffff
	// aPointer is the mask for whole registers.
	aPointer = ^uint64(0)
)

// rule allows a call if all conditions of any one alternative hold, and refuses
// it with Errno otherwise.
type rule struct {
	Name  string
	AnyOf [][]condition
	Errno syscall.Errno
}

// argIn allows a call if its argument has one of the values.
func argIn(name string, errno syscall.Errno, arg int, values ...uint64) rule {
	r := rule{Name: name, Errno: errno}
	for _, v := range values {
		r.AnyOf = append(r.AnyOf, []condition{{arg, anInt, v}})
	}
	return r
}

// Constants of the kernel's interface that package syscall lacks or spells per
// architecture. Sources: include/uapi/linux/{sched,fcntl,prctl,socket}.h.
const (
	// Every CLONE_NEW* flag; CLONE_NEWTIME (0x80) shares a bit with clone's
	// exit signal and is reachable through unshare and clone3 only.
	cloneNamespaces = 0x7E020000
	// A child that gets the zygote for a parent would have to be reaped by it:
	// the job's namespace could not end, and the zygote would wait for that.
	cloneParent  = 0x8000
	familyUnix   = 1
	typeMask     = 0xf
	typeStream   = 1
	queryPersona = 0xffffffff
)

// list is who may call what.
type list struct {
	allowed     []string
	conditional []rule
}

// forUserCode is the one list.
func forUserCode() list { return list{allowed, conditional()} }

// forZygotes is the list for what makes sandboxes.
func forZygotes() list {
	l := list{slices.Concat(allowed, zygoteAllowed), zygoteRules()}
	for _, r := range conditional() {
		if !slices.ContainsFunc(l.conditional, func(own rule) bool { return own.Name == r.Name }) {
			l.conditional = append(l.conditional, r)
		}
	}
	return l
}

// conditional are the calls that are allowed with some arguments only.
func conditional() []rule {
	return []rule{
		{Name: "clone", Errno: syscall.EPERM, AnyOf: [][]condition{{{0, cloneNamespaces | cloneParent, 0}}}},
		// asyncio needs a socketpair. Datagram ones can reach another job's.
		{Name: "socketpair", Errno: syscall.EACCES, AnyOf: [][]condition{
			{{0, anInt, familyUnix}, {1, typeMask, typeStream}},
		}},
		// send() is sendto() without an address.
		{Name: "sendto", Errno: syscall.EACCES, AnyOf: [][]condition{{{4, aPointer, 0}}}},
		// Of its own process only: with a pid one could change limits of pid 1.
		argIn("prlimit64", syscall.EPERM, 0, 0),
		argIn("personality", syscall.EPERM, 0, queryPersona),
		// Everything but F_SETLEASE, F_GETLEASE and F_NOTIFY, which watch what
		// others do with shared files.
		argIn("fcntl", syscall.EPERM, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 36, 37, 38,
			1030, 1031, 1032, 1033, 1034),
		// TCGETS (isatty), TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
		argIn("ioctl", syscall.ENOTTY, 1, 0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451),
		// Everything but POSIX_FADV_DONTNEED, which would throw what neighbours
		// read, such as the interpreter, out of the page cache.
		argIn("fadvise64", syscall.EPERM, 3, 0, 1, 2, 3, 5),
		// SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_LINGER, SO_PASSCRED and both
		// timeouts in both forms; not SO_ATTACH_FILTER, a program in the kernel.
		{Name: "setsockopt", Errno: syscall.EPERM, AnyOf: socketOptions(7, 8, 9, 13, 16, 20, 21, 66, 67)},
		// Names, the parent-death signal, dumpability, no_new_privs, timer slack,
		// and reading capabilities and seccomp's mode.
		argIn("prctl", syscall.EPERM, 0, 1, 2, 3, 4, 15, 16, 21, 23, 29, 30, 38, 39),
	}
}

// socketOptions are conditions for setsockopt's options at SOL_SOCKET.
func socketOptions(options ...uint64) [][]condition {
	const solSocket = 1
	var either [][]condition
	for _, option := range options {
		either = append(either, []condition{{1, anInt, solSocket}, {2, anInt, option}})
	}
	return either
}

// allowed are the calls that are allowed whatever their arguments.
var allowed = []string{
	// files
	"access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
	"faccessat", "faccessat2", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown",
	"fchownat", "fdatasync", "fgetxattr", "flistxattr", "flock", "fstat", "fstatfs", "fsync", "ftruncate",
	"futimesat", "getcwd", "getdents", "getdents64", "getxattr", "lchown", "lgetxattr", "link", "linkat", "listxattr",
	"llistxattr", "lseek", "lstat", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open", "openat", "openat2",
	"pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readlink", "readlinkat", "readv",
	"rename", "renameat", "renameat2", "rmdir", "sendfile", "stat", "statfs", "statx", "symlink", "symlinkat",
	"sync_file_range", "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write", "writev",
	// memory
	"brk", "madvise", "membarrier", "mlock", "mlock2", "mlockall", "mmap", "mprotect", "mremap", "msync", "munlock",
	"munlockall", "munmap",
	// processes and threads
	"arch_prctl", "execve", "exit", "exit_group", "fork", "futex", "futex_waitv", "get_robust_list", "getcpu",
	"kill", "pidfd_open", "pidfd_send_signal", "restart_syscall", "rseq", "sched_get_priority_max",
	"sched_get_priority_min", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
	"sched_yield", "set_robust_list", "set_tid_address", "setpgid", "setpriority", "setsid", "tgkill", "tkill", "vfork", "wait4",
	"waitid",
	// signals
	"alarm", "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "sigaltstack", "signalfd", "signalfd4",
	// who and how much
	"capget", "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
	"getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "setrlimit", "sysinfo", "times",
	"uname",
	// time
	"clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday", "nanosleep", "setitimer", "time",
	"timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create",
	"timerfd_gettime", "timerfd_settime",
	// waiting, pipes, and stream socketpairs
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2",
	"getpeername", "getrandom", "getsockname", "getsockopt", "pipe", "pipe2", "poll", "ppoll", "pselect6", "recvfrom",
	"recvmsg", "select", "sendmsg", "shutdown",
}

// unreachable are refused with EACCES, as a firewall would: whatever makes,
// names or accepts a socket.
var unreachable = []string{
	"accept", "accept4", "bind", "connect", "listen", "recvmmsg", "sendmmsg", "socket",
}

// absent are refused with ENOSYS although known: libc tries them first and
// falls back only on this error (EPERM breaks threads, for clone3).
var absent = []string{"clone3"}

// zygoteRules are what a zygote may do beside: make and enter exactly the
// namespaces of a sandbox, mount what is in one, and give up rights. The filter
// on top takes all of it from user code.
// Flags: include/uapi/linux/{sched,mount,prctl}.h.
func zygoteRules() []rule {
	const (
		newUser, newPID, newCgroup  = 0x10000000, 0x20000000, 0x02000000
		newMountIPCNet              = 0x48020000
		noSuidNoDev, noExec, rdonly = 0x6, 0x8, 0x1
	)
	return []rule{
		argIn("unshare", syscall.EPERM, 0, newPID, newCgroup, newMountIPCNet, newUser),
		argIn("setns", syscall.EPERM, 1, newPID),
		argIn("mount", syscall.EPERM, 3, noSuidNoDev, noSuidNoDev|noExec, noSuidNoDev|noExec|rdonly),
		// Also PR_CAPBSET_DROP and PR_CAP_AMBIENT.
		argIn("prctl", syscall.EPERM, 0, 1, 2, 3, 4, 15, 16, 21, 23, 24, 29, 30, 38, 39, 40, 47),
	}
}

// zygoteAllowed are the calls that a zygote may make beside.
var zygoteAllowed = []string{"capset", "seccomp", "setgroups", "setresgid", "setresuid", "umount2"}

// refused are turned down on purpose, with EPERM: every call that has a number
// on a and stands in no other list.
func (l list) refused(a Arch) []string {
	spoken := map[string]bool{}
	for _, group := range [][]string{l.allowed, unreachable, absent} {
		for _, name := range group {
			spoken[name] = true
		}
	}
	for _, r := range l.conditional {
		spoken[r.Name] = true
	}
	var names []string
	for name := range numbers {
		if _, exists := a.number(name); exists && !spoken[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
