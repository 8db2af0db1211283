// Package gvisor has what nsjail needs in order to run inside gVisor, whose kernel lacks some calls that nsjail makes
// and has no option to leave out. docs/gvisor.md describes what holds there.
//
// It was tried with runsc of September 2026 (tools/gvisor).
package gvisor

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Options returns the options of nsjail that leave out what gVisor refuses. Its netlink sockets answer nsjail out of
// sequence, so nsjail makes no network namespace: Unshare has one. It has no cgroup namespaces, and shows a process no
// cgroup of the machine that one could hide.
func Options() []string { return []string{"--disable_clone_newnet", "--disable_clone_newcgroup"} }

// Unshare is the namespaces that nsjail must be started in (syscall.SysProcAttr.Unshareflags).
const Unshare = syscall.CLONE_NEWNET

// IgnoreMissingCalls makes calls of this thread succeed without effect, and those of every process that it starts:
//
//   - prctl(PR_SET_SECUREBITS), with which nsjail keeps its capabilities when it changes to a user id other than 0.
//     It has changed its user namespace, in which it was not 0 before: then the kernel takes none (capabilities(7)).
//   - prlimit64 of RLIMIT_LOCKS and those after it, which bound what gVisor does not have: POSIX message queues,
//     real-time priorities. A process may still ask for such a limit.
//
// The caller must have locked the goroutine to its thread (runtime.LockOSThread) and must not unlock it: no other
// goroutine may run in that thread afterwards. It needs CAP_SYS_ADMIN, or sets no_new_privs.
func IgnoreMissingCalls() error {
	filter, err := program()
	if err != nil {
		return err
	}
	list := make([]unix.SockFilter, len(filter))
	for i, instruction := range filter {
		list[i] = unix.SockFilter{Code: instruction.Op, Jt: instruction.Jt, Jf: instruction.Jf, K: instruction.K}
	}
	fprog := unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]}
	defer runtime.KeepAlive(list)
	err = install(&fprog)
	if errors.Is(err, unix.EACCES) {
		if err = unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err == nil {
			err = install(&fprog)
		}
	}
	if err != nil {
		return fmt.Errorf("install the filter for gVisor: %w", err)
	}
	return nil
}

func install(fprog *unix.SockFprog) error {
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
		uintptr(unsafe.Pointer(fprog))) //nolint:gosec // the form of the system call
	if errno != 0 {
		return errno
	}
	return nil
}

// Offsets into struct seccomp_data (include/uapi/linux/seccomp.h), of the low halves of arguments.
const (
	offsetNumber = 0
	offsetArgs   = 16
)

// argument returns the instruction that loads the low half of an argument.
func argument(n uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offsetArgs + 8*n, Size: 4} }

// program is the filter. Jumps skip that many of the instructions that follow.
func program() ([]bpf.RawInstruction, error) {
	const newLimit = 2
	raw, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_PRLIMIT64, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_PRCTL, SkipFalse: 8},
		argument(0),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PR_SET_SECUREBITS, SkipTrue: 7, SkipFalse: 6},
		argument(1),
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: unix.RLIMIT_LOCKS, SkipFalse: 4},
		argument(newLimit), // a pointer, so both halves of it
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 3},
		bpf.LoadAbsolute{Off: offsetArgs + 8*newLimit + 4, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO}, // with errno 0
	})
	if err != nil {
		return nil, fmt.Errorf("assemble the filter for gVisor: %w", err)
	}
	return raw, nil
}
