// Package seccomp holds the list of system calls that user code may make. It renders the list as
// the Kafel policy that nsjail compiles and as the BPF filter that the runner installs.
//
// It is an allow-list. Other calls fail: with EACCES if they would reach a network, with EPERM if
// they are refused on purpose, and with ENOSYS if they are unknown, so that a libc newer than this
// list falls back. A call that is allowed with some arguments only names its own error.
package seccomp

import (
	"slices"
	"syscall"
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

// condition holds if argument Arg, masked, equals Value. Mask has at most the bits that the kernel
// reads: the ABI lets a caller leave garbage in the high half of a register, and comparing it would
// refuse valid calls.
type condition struct {
	Arg   int
	Mask  uint64
	Value uint64
}

const (
	// intMask is the mask for arguments that the kernel takes as int or unsigned int.
	intMask = 0xffffffff
	// pointerMask is the mask for whole registers.
	pointerMask = ^uint64(0)
)

// rule allows a call if all conditions of any one alternative hold, and fails it with Errno
// otherwise.
type rule struct {
	Name  string
	AnyOf [][]condition
	Errno syscall.Errno
}

// argIn returns a rule that allows a call if argument arg, an int, has one of the values.
func argIn(name string, errno syscall.Errno, arg int, values ...uint64) rule {
	r := rule{Name: name, Errno: errno}
	for _, v := range values {
		r.AnyOf = append(r.AnyOf, []condition{{arg, intMask, v}})
	}
	return r
}

// Constants of the kernel that package syscall lacks or spells per architecture. Sources:
// include/uapi/linux/{sched,fcntl,prctl,socket}.h.
const (
	// Every CLONE_NEW* flag except CLONE_NEWTIME (0x80): it shares a bit with the exit signal of
	// clone, and only unshare and clone3 take it.
	cloneNamespaces = 0x7E020000
	// CLONE_PARENT would make a job's process a child of the zygote. The pid namespace of the job
	// ends only when that child is reaped, and the zygote waits for the namespace: a deadlock.
	cloneParent = 0x8000
	// CLONE_FILES without CLONE_THREAD makes two processes share their descriptors. The file locks of a process that
	// has died would stay as long as the other lives, and /proc/locks would name no living process for them.
	cloneFiles   = 0x400
	cloneThread  = 0x10000
	familyUnix   = 1
	typeMask     = 0xf
	typeStream   = 1
	queryPersona = 0xffffffff
)

// list holds the allowed calls; all others are refused.
type list struct {
	allowed     []string
	conditional []rule
}

// forUserCode returns the list for user code.
func forUserCode() list { return list{allowed, conditional()} }

// forZygotes returns the list for zygotes. Their rule for a call replaces the one for user code.
func forZygotes() list {
	l := list{slices.Concat(allowed, zygoteAllowed), zygoteRules()}
	for _, r := range conditional() {
		if !slices.ContainsFunc(l.conditional, func(own rule) bool { return own.Name == r.Name }) {
			l.conditional = append(l.conditional, r)
		}
	}
	return l
}

// conditional returns the calls that are allowed with some arguments only.
func conditional() []rule {
	return []rule{
		{Name: "clone", Errno: syscall.EPERM, AnyOf: [][]condition{
			{{0, cloneNamespaces | cloneParent | cloneFiles, 0}},
			{{0, cloneNamespaces | cloneParent | cloneThread, cloneThread}},
		}},
		// asyncio needs a stream socketpair. Datagram sockets can reach those of another job.
		{Name: "socketpair", Errno: syscall.EACCES, AnyOf: [][]condition{
			{{0, intMask, familyUnix}, {1, typeMask, typeStream}},
		}},
		// A NULL address: this is send().
		{Name: "sendto", Errno: syscall.EACCES, AnyOf: [][]condition{{{4, pointerMask, 0}}}},
		// The calling process only: a pid could name pid 1, whose limits are not the job's to
		// change.
		argIn("prlimit64", syscall.EPERM, 0, 0),
		argIn("personality", syscall.EPERM, 0, queryPersona),
		// Without F_SETLEASE, F_GETLEASE and F_NOTIFY, which watch what others do with shared
		// files, and without F_OFD_GETLK, F_OFD_SETLK and F_OFD_SETLKW: their locks belong to no process, so they
		// cannot be counted (package filelocks).
		argIn("fcntl", syscall.EPERM, 1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16,
			1030, 1031, 1032, 1033, 1034),
		// TCGETS (isatty), TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
		argIn("ioctl", syscall.ENOTTY, 1, 0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451),
		// All but POSIX_FADV_DONTNEED, which would evict pages that other jobs use, such as the
		// interpreter's.
		argIn("fadvise64", syscall.EPERM, 3, 0, 1, 2, 3, 5),
		// SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_LINGER, SO_PASSCRED, and both timeouts in both
		// forms. Without SO_ATTACH_FILTER, which puts a program into the kernel.
		{Name: "setsockopt", Errno: syscall.EPERM, AnyOf: socketOptions(7, 8, 9, 13, 16, 20, 21, 66, 67)},
		// Thread names, the parent-death signal, dumpability, no_new_privs, timer slack, and
		// reading the capability bounding set and the seccomp mode.
		argIn("prctl", syscall.EPERM, 0, 1, 2, 3, 4, 15, 16, 21, 23, 29, 30, 38, 39),
	}
}

// socketOptions returns the conditions that allow the given options of setsockopt at SOL_SOCKET.
func socketOptions(options ...uint64) [][]condition {
	const solSocket = 1
	var either [][]condition
	for _, option := range options {
		either = append(either, []condition{{1, intMask, solSocket}, {2, intMask, option}})
	}
	return either
}

// allowed are the calls that are allowed with any arguments.
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
	"sched_yield", "set_robust_list", "set_tid_address", "setpgid", "setpriority", "setsid", "tgkill", "tkill",
	"vfork", "wait4", "waitid",
	// signals
	"alarm", "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
	"rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "sigaltstack", "signalfd", "signalfd4",
	// identity and resources
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

// unreachable are the calls refused with EACCES, as a firewall would: they create, name, connect or
// accept sockets, or send and receive in batches.
var unreachable = []string{
	"accept", "accept4", "bind", "connect", "listen", "recvmmsg", "sendmmsg", "socket",
}

// absent are known calls that are refused with ENOSYS: libc tries them first and falls back on this
// error only (with EPERM for clone3, threads would break).
var absent = []string{"clone3"}

// zygoteRules returns what a zygote may do in addition: create and enter exactly the namespaces of
// a sandbox, mount its file systems, and drop privileges. The filter of the runner takes all of it
// from user code. Flags: include/uapi/linux/{sched,mount,prctl}.h.
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
		// Also PR_CAPBSET_DROP, PR_GET_TID_ADDRESS and PR_CAP_AMBIENT.
		argIn("prctl", syscall.EPERM, 0, 1, 2, 3, 4, 15, 16, 21, 23, 24, 29, 30, 38, 39, 40, 47),
	}
}

// zygoteAllowed are further calls that a zygote may make with any arguments.
var zygoteAllowed = []string{"capset", "seccomp", "setgroups", "setresgid", "setresuid", "umount2"}

// refusedNames returns the calls that fail with EPERM: those with a number on a that no list names.
func (l list) refusedNames(a Arch) []string {
	named := map[string]bool{}
	for _, group := range [][]string{l.allowed, unreachable, absent} {
		for _, name := range group {
			named[name] = true
		}
	}
	for _, r := range l.conditional {
		named[r.Name] = true
	}
	var names []string
	for name := range numbers {
		if _, exists := a.number(name); exists && !named[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
