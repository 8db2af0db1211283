package seccomp

import (
	"slices"
	"syscall"
)

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

// rule allows a call if all conditions of any one alternative hold. Otherwise it fails as the first
// of Failures that holds, or else with Errno.
type rule struct {
	Name     string
	AnyOf    [][]condition
	Failures []failure
	Errno    syscall.Errno
	// Allows is in words what AnyOf allows, and Needs what fails without it. docs/kernel-surface.md
	// shows both.
	Allows, Needs string
}

// failure is the error of a call for which all conditions hold.
type failure struct {
	When  []condition
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

// argOnly returns a rule that allows a call if argument arg, an int, has no other bits than these.
func argOnly(name string, errno syscall.Errno, arg int, bits uint64) rule {
	return rule{Name: name, Errno: errno, AnyOf: [][]condition{{{arg, intMask &^ bits, 0}}}}
}

// argWithout returns a rule that allows a call if argument arg, an int, has none of the bits.
func argWithout(name string, errno syscall.Errno, arg int, bits uint64) rule {
	return rule{Name: name, Errno: errno, AnyOf: [][]condition{{{arg, bits, 0}}}}
}

// because returns the rule with its texts.
func (r rule) because(allows, needs string) rule {
	r.Allows, r.Needs = allows, needs
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

// directIO returns O_DIRECT, which differs between architectures (asm/fcntl.h).
func (a Arch) directIO() uint64 {
	if a == ARM64 {
		return 0x10000
	}
	return 0x4000
}

// conditional returns the calls that are allowed with some arguments only.
func conditional(a Arch) []rule {
	return slices.Concat(processRules(), socketRules(), fileRules(a), memoryRules(), timeRules())
}

func processRules() []rule {
	return []rule{
		rule{Name: "clone", Errno: syscall.EPERM, AnyOf: [][]condition{
			{{0, cloneNamespaces | cloneParent | cloneFiles, 0}},
			{{0, cloneNamespaces | cloneParent | cloneThread, cloneThread}},
		}}.because("without namespaces and CLONE_PARENT, and CLONE_FILES with CLONE_THREAD only",
			"threads, `os.fork()`, `posix_spawn()`"),
		// The calling process only: a pid could name pid 1, whose limits are not the job's to
		// change.
		argIn("prlimit64", syscall.EPERM, 0, 0).because("the calling process", "`resource`, libc"),
		argIn("personality", syscall.EPERM, 0, queryPersona).because("a question", "programs that ask for theirs"),
		argIn("prctl", syscall.EPERM, 0, 1, 2, 3, 4, 15, 16, 21, 23, 29, 30, 38, 39).
			because("names of threads, the parent-death signal, dumpability, no_new_privs, timer slack, reading the "+
				"bounding set and the seccomp mode", "names of threads, the runner"),
		// ARCH_SET_GS, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS (asm/prctl.h). The kernel answers the
		// same to codes that it does not know.
		argIn("arch_prctl", syscall.EINVAL, 0, 0x1001, 0x1002, 0x1003, 0x1004).
			because("the bases of FS and GS", "every program's start"),
	}
}

// Flags of send and recv (linux/socket.h).
const (
	msgTrunc, msgDontwait, msgEOR, msgWaitall = 0x20, 0x40, 0x80, 0x100
	msgNosignal, msgMore, msgCloexec          = 0x4000, 0x8000, 0x40000000
)

func socketRules() []rule {
	// A NULL address: this is send(). Without MSG_OOB.
	const sendFlags = msgDontwait | msgEOR | msgNosignal | msgMore
	// Without MSG_OOB and MSG_PEEK.
	const recvFlags = msgTrunc | msgDontwait | msgWaitall | msgNosignal | msgCloexec
	noAddress := condition{4, pointerMask, 0}
	return []rule{
		// asyncio needs a stream socketpair. Datagram sockets can reach those of another job.
		rule{Name: "socketpair", Errno: syscall.EACCES, AnyOf: [][]condition{
			{{0, intMask, familyUnix}, {1, typeMask, typeStream}},
		}}.because("stream pairs of AF_UNIX", "`asyncio`, `socket.socketpair()`"),
		rule{
			Name: "sendto", Errno: syscall.EACCES, AnyOf: [][]condition{{noAddress, {3, intMask &^ sendFlags, 0}}},
			// As a kernel without out-of-band data for AF_UNIX.
			Failures: []failure{{[]condition{noAddress}, syscall.EOPNOTSUPP}},
		}.because("without an address, with MSG_DONTWAIT, MSG_EOR, MSG_NOSIGNAL, MSG_MORE", "`send()`"),
		argOnly("recvfrom", syscall.EOPNOTSUPP, 3, recvFlags).
			because("with MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC", "`recv()`"),
		// SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_LINGER, SO_PASSCRED, and both timeouts in both
		// forms. Without SO_ATTACH_FILTER, which puts a program into the kernel.
		rule{Name: "setsockopt", Errno: syscall.EPERM, AnyOf: socketOptions(7, 8, 9, 13, 16, 20, 21, 66, 67)}.
			because("SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_LINGER, SO_PASSCRED, SO_RCVTIMEO, SO_SNDTIMEO",
				"`setsockopt()`, timeouts"),
	}
}

func fileRules(a Arch) []rule {
	const (
		setFlags, setOwner          = 4, 8
		typeOfFile                  = 0xf000
		regularUnnamed, fifo, plain = 0, 0x1000, 0x8000
		// RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_APPEND, RWF_NOAPPEND
		writeFlags = 0x1 | 0x2 | 0x4 | 0x10 | 0x20
	)
	made := func(name string, mode int) rule {
		r := rule{Name: name, Errno: syscall.EPERM}
		for _, kind := range []uint64{regularUnnamed, fifo, plain} {
			r.AnyOf = append(r.AnyOf, []condition{{mode, typeOfFile, kind}})
		}
		return r.because("regular files and FIFOs", "`os.mkfifo()`, `os.mknod()`")
	}
	// Without F_SETLEASE, F_GETLEASE and F_NOTIFY, which watch what others do with shared files, without F_SETSIG,
	// F_SETOWN_EX and what asks for them, and without F_OFD_GETLK, F_OFD_SETLK and F_OFD_SETLKW: their locks belong to
	// no process, so they cannot be counted (package filelocks).
	commands := argIn("fcntl", syscall.EPERM, 1, 0, 1, 2, 3, 5, 6, 7, 1030, 1031, 1032, 1033, 1034)
	commands.AnyOf = append(commands.AnyOf,
		[]condition{{1, intMask, setFlags}, {2, a.directIO(), 0}},
		// How the runner asks for a signal before a timeout: its channel is 3, and it is process 2 of
		// its namespace (runner/early_stop.py).
		[]condition{{0, intMask, 3}, {1, intMask, setOwner}, {2, intMask, 2}},
	)
	commands.Failures = []failure{{[]condition{{1, intMask, setFlags}}, syscall.EINVAL}}
	return []rule{
		// Without O_DIRECT, as on file systems that have none.
		argWithout("open", syscall.EINVAL, 1, a.directIO()).because("without O_DIRECT", "`open()`"),
		argWithout("openat", syscall.EINVAL, 2, a.directIO()).because("without O_DIRECT", "`open()`"),
		commands.because("F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL without O_DIRECT, F_GETLK, F_SETLK, F_SETLKW, "+
			"F_DUPFD_CLOEXEC, F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS; F_SETOWN of descriptor 3 to "+
			"process 2",
			"`fcntl`, SQLite, `subprocess`; the runner, which flushes output before a timeout"),
		// TCGETS (isatty), TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
		argIn("ioctl", syscall.ENOTTY, 1, 0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451).
			because("TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX",
				"`isatty()`, `os.set_blocking()`, `os.set_inheritable()`"),
		// All but POSIX_FADV_DONTNEED, which would evict pages that other jobs use, such as the
		// interpreter's.
		argIn("fadvise64", syscall.EPERM, 3, 0, 1, 2, 3, 5).
			because("all but POSIX_FADV_DONTNEED", "`os.posix_fadvise()`, `cat(1)`, `sort(1)`"),
		// Python's os.preadv() and os.pwritev() always pass flags. The kernel answers the same to
		// flags that it does not know.
		argOnly("preadv2", syscall.EOPNOTSUPP, 5, writeFlags).
			because("with RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_APPEND, RWF_NOAPPEND", "`os.preadv()`"),
		argOnly("pwritev2", syscall.EOPNOTSUPP, 5, writeFlags).
			because("with RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_APPEND, RWF_NOAPPEND", "`os.pwritev()`"),
		made("mknod", 1), made("mknodat", 2),
	}
}

// advice is the advice on memory that user code may have.
var advice = []uint64{0, 1, 2, 3, 4, 8, 10, 11, 13, 14, 15, 16, 17, 18, 19, 22, 23, 24}

func memoryRules() []rule {
	const sync = 4
	return []rule{
		// Advice on memory of one's own. The kernel answers the same to advice that it does not know.
		argIn("madvise", syscall.EINVAL, 2, advice...).
			because("MADV_NORMAL to MADV_DONTNEED, MADV_FREE, MADV_DONTFORK, MADV_DOFORK, MADV_UNMERGEABLE, "+
				"MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK, "+
				"MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED",
				"malloc, thread stacks, `mmap.madvise()`, OpenSSL, numpy"),
		// MS_SYNC succeeds and does nothing, as fsync. The others stay real: they wait for nothing,
		// and unwinders find out with them whether an address is mapped.
		argWithout("msync", 0, 2, sync).because("without MS_SYNC, with which it does nothing", "`mmap.flush()`"),
	}
}

func timeRules() []rule {
	// CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI. Without the clocks of CPU time, as
	// a kernel without timers for them.
	clocks := []uint64{0, 1, 7, 11}
	const allows = "CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI"
	return []rule{
		argIn("timer_create", syscall.EOPNOTSUPP, 0, clocks...).because(allows, "`timeout(1)`"),
		argIn("clock_nanosleep", syscall.EOPNOTSUPP, 0, clocks...).because(allows, "`time.sleep()`, `sleep(1)`"),
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
