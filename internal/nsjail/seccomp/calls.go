package seccomp

// group is calls that are allowed with any arguments, for one purpose.
type group struct {
	Purpose string
	// Needs names what fails without them. docs/kernel-surface.md shows it.
	Needs string
	Calls []string
}

// groups are the calls that are allowed with any arguments.
var groups = []group{
	{"files", "`open()`, `os`, `shutil`, `pathlib`, `tempfile`, SQLite, the dynamic linker, programs", []string{
		"access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
		"faccessat", "faccessat2", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat",
		"fgetxattr", "flistxattr", "flock", "fstat", "fstatfs", "ftruncate", "futimesat", "getcwd", "getdents",
		"getdents64", "getxattr", "lchown", "lgetxattr", "link", "linkat", "listxattr", "llistxattr", "lseek", "lstat",
		"mkdir", "mkdirat", "newfstatat", "pread64", "preadv", "pwrite64", "pwritev", "read", "readlink", "readlinkat",
		"readv", "rename", "renameat", "renameat2", "rmdir", "sendfile", "stat", "statfs", "statx", "symlink",
		"symlinkat", "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write", "writev",
	}},
	{"memory", "malloc, `mmap`, thread stacks, `multiprocessing.shared_memory`, numpy", []string{
		"brk", "mlock", "mlock2", "mmap", "mprotect", "mremap", "munlock", "munlockall", "munmap",
	}},
	{"processes and threads", "`threading`, `subprocess`, `multiprocessing`, `os.fork()`, shells", []string{
		"execve", "exit", "exit_group", "fork", "futex", "get_robust_list", "getcpu", "kill", "pidfd_open",
		"pidfd_send_signal", "restart_syscall", "rseq", "sched_get_priority_max", "sched_get_priority_min",
		"sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_yield",
		"set_robust_list", "set_tid_address", "setpgid", "setpriority", "setsid", "tgkill", "tkill", "vfork", "wait4",
		"waitid",
	}},
	{"signals", "`signal`, the interpreter itself, shells", []string{
		"alarm", "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
		"rt_sigtimedwait", "sigaltstack", "signalfd", "signalfd4",
	}},
	{"identity and resources", "`os`, `resource`, `getpass`, libc, shells", []string{
		"capget", "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid",
		"getpriority", "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "setrlimit",
		"sysinfo", "times", "uname",
	}},
	{"time", "`time`, `asyncio`, `signal.setitimer()`, `os.timerfd_create()`, `timeout(1)`", []string{
		"clock_getres", "clock_gettime", "getitimer", "gettimeofday", "nanosleep", "setitimer", "time", "timer_delete",
		"timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime",
	}},
	{"waiting, pipes, and stream socketpairs", "`select`, `asyncio`, `subprocess`, `socket.socketpair()`", []string{
		"eventfd", "eventfd2", "getpeername", "getrandom", "getsockname", "getsockopt", "pipe", "pipe2", "poll",
		"ppoll", "pselect6", "select", "shutdown",
	}},
}

// allowed are the calls of groups.
var allowed = callsOf(groups)

func callsOf(groups []group) []string {
	var calls []string
	for _, g := range groups {
		calls = append(calls, g.Calls...)
	}
	return calls
}

// epoll are the calls that Options.Epoll allows.
var epoll = []string{
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait",
}

// unreachable are the calls refused with EACCES, as a firewall would: they create, name, connect or
// accept sockets, or send and receive in batches.
var unreachable = []string{
	"accept", "accept4", "bind", "connect", "listen", "recvmmsg", "sendmmsg", "socket",
}

// absent are known calls that are refused with ENOSYS, as a kernel without them does: callers try
// them first and fall back on this error (with EPERM for clone3, threads would break).
var absent = []string{"clone3", "futex_waitv", "membarrier", "openat2"}

// ignored are calls that succeed and do nothing. They wait for the disk, and all files that user code can write are in
// memory; on a file that is read-only in the sandbox, fsync would still make the machine's disk write and flush its
// cache. Programs that call them want the success.
var ignored = []string{"fdatasync", "fsync", "sync", "sync_file_range", "syncfs"}

// zygoteAllowed are further calls that a zygote may make with any arguments: to set up sandboxes, and to pass
// descriptors to and from the worker.
var zygoteAllowed = []string{
	"capset", "recvmsg", "seccomp", "sendmsg", "setgroups", "setresgid", "setresuid", "umount2",
}

// closing is what refusing calls, or arguments of calls, keeps out of reach.
type closing struct {
	Calls []string
	// Arguments is what is refused of Calls; empty means all.
	Arguments string
	// Keeps is what is out of reach: known holes of the kernel, or an effect on others.
	Keeps string
}

// closings has the known holes, for docs/kernel-surface.md. Fixed kernels have them no more: they show where the next
// ones are to be expected.
var closings = []closing{
	{[]string{"sendmsg", "recvmsg", "sendmmsg", "recvmmsg"}, "", "descriptors in flight (SCM_RIGHTS), and the " +
		"garbage collector for them: CVE-2021-0920, CVE-2022-2602, CVE-2025-40214, CVE-2026-23394"},
	{[]string{"sendto", "recvfrom"}, "MSG_OOB", "CVE-2025-38236 (out-of-band data of AF_UNIX)"},
	{[]string{"recvfrom"}, "MSG_PEEK", "CVE-2021-0920, CVE-2026-23394 (the collector against a reader that peeks)"},
	{epoll, "", "CVE-2026-43074, CVE-2026-46242 (use after free in eventpoll); watches that no cgroup counts"},
	{
		[]string{"timer_create", "clock_nanosleep"},
		"CPU clocks",
		"CVE-2025-38352 (a timer on CPU time that is deleted while it fires)",
	},
	{[]string{"io_uring_setup", "io_uring_enter", "io_uring_register"}, "", "CVE-2022-2602 and the rest of io_uring"},
	{[]string{"io_setup", "io_submit"}, "", "direct and asynchronous reads of the machine's disk"},
	{[]string{"open", "openat", "openat2", "fcntl"}, "O_DIRECT", "reads of the machine's disk past the page cache"},
	{ignored, "", "cache flushes of the machine's disk"},
	{[]string{"msync"}, "MS_SYNC", "cache flushes of the machine's disk, should a file on it ever be writable"},
	{
		[]string{"preadv2", "pwritev2"},
		"RWF_NOWAIT, RWF_DONTCACHE",
		"asking whether a file is in the page cache (as mincore: CVE-2019-5489), and removing it from there",
	},
	{[]string{"mincore", "cachestat"}, "", "CVE-2019-5489 (what neighbours have in the page cache)"},
	{[]string{"fadvise64"}, "POSIX_FADV_DONTNEED", "evicting what neighbours read from the page cache"},
	{
		[]string{"madvise"},
		"MADV_COLD, MADV_PAGEOUT, MADV_COLLAPSE, MADV_MERGEABLE, MADV_REMOVE",
		"reclaiming or moving shared pages; pages merged with a neighbour's (a side channel)",
	},
	{[]string{"splice", "tee", "vmsplice"}, "", "CVE-2022-0847 (a pipe that writes into read-only files)"},
	{[]string{"bpf"}, "", "CVE-2021-3490"},
	{[]string{"keyctl", "add_key", "request_key"}, "", "CVE-2016-0728"},
	{[]string{"perf_event_open"}, "", "CVE-2013-2094"},
	{[]string{"userfaultfd"}, "", "pausing the kernel in the middle of a copy, which wins most races above"},
	{[]string{"socket", "socketpair"}, "all but stream pairs of AF_UNIX", "every other protocol of the kernel"},
	{[]string{"setsockopt"}, "all but nine options", "SO_ATTACH_FILTER, which loads a program; SO_PEEK_OFF"},
	{[]string{"clone", "unshare", "setns"}, "namespaces", "all of the kernel that only root of some namespace reaches"},
	{[]string{"mknod", "mknodat"}, "devices and sockets", "whiteouts (character device 0:0), names of sockets"},
	{
		[]string{"fcntl"},
		"F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY",
		"signals on what others do with shared files, and the locks around them",
	},
	{
		[]string{"fcntl"},
		"F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW",
		"locks of open files, which cannot be counted for a job (CVE-2022-0480)",
	},
	{[]string{"rt_sigqueueinfo", "rt_tgsigqueueinfo"}, "", "signals with forged fields"},
	{[]string{"membarrier"}, "", "interrupting the processors of neighbours"},
	{[]string{"futex_waitv", "futex_wait", "futex_wake", "futex_requeue"}, "", "the newer half of futexes"},
	{[]string{"mlockall"}, "", "locking mappings that are yet to come"},
	{[]string{"arch_prctl"}, "all but the bases of FS and GS", "shadow stacks, AMX state, and what is added next"},
}
