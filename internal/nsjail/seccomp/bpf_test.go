package seccomp

import (
	"encoding/binary"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	allow = unix.SECCOMP_RET_ALLOW
	kill  = unix.SECCOMP_RET_KILL_PROCESS
)

// verdict runs the filter as the kernel would. The VM reads big-endian words (it is made for
// packets), so the data is written that way.
func verdict(t *testing.T, vm *bpf.VM, arch, number uint32, args ...uint64) uint32 {
	t.Helper()
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offsetNumber:], number)
	binary.BigEndian.PutUint32(data[offsetArch:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offsetArgs+8*i:], uint32(a))
		binary.BigEndian.PutUint32(data[offsetArgs+8*i+4:], uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

var auditArch = map[Arch]uint32{AMD64: unix.AUDIT_ARCH_X86_64, ARM64: unix.AUDIT_ARCH_AARCH64}

func machine(t *testing.T, a Arch, o Options) *bpf.VM {
	t.Helper()
	vm, err := bpf.NewVM(program(a, o))
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func TestFilterFollowsTheList(t *testing.T) {
	t.Parallel()
	for arch, audit := range auditArch {
		vm := machine(t, arch, Options{})
		conditions := map[string]bool{}
		for _, r := range conditional(arch) {
			conditions[r.Name] = true
		}
		known := map[int]string{}
		for name := range numbers {
			if n, exists := arch.number(name); exists {
				known[n] = name
			}
		}
		for n := range 1000 {
			name, exists := known[n]
			want := errnoAction(syscall.ENOSYS)
			switch {
			case conditions[name]:
				continue
			case slices.Contains(allowed, name):
				want = allow
			case slices.Contains(ignored, name):
				want = errnoAction(0)
			case slices.Contains(unreachable, name):
				want = errnoAction(syscall.EACCES)
			case exists && !slices.Contains(absent, name) && !slices.Contains(epoll, name):
				want = errnoAction(syscall.EPERM)
			}
			if got := verdict(t, vm, audit, uint32(n)); got != want {
				t.Errorf("%s %d %s: %#x, want %#x", arch, n, name, got, want)
			}
		}
	}
}

func TestFilterConditions(t *testing.T) {
	t.Parallel()
	const rubbish = 0xdead_beef_0000_0000
	tests := []struct {
		call string
		args []uint64
		want uint32
	}{
		{"clone", []uint64{0x3d0f00}, allow},
		{"clone", []uint64{0x10000000 | 17}, errnoAction(syscall.EPERM)},
		{"clone", []uint64{0x02000000}, errnoAction(syscall.EPERM)},
		{"clone", []uint64{0x00020000}, errnoAction(syscall.EPERM)},
		{"clone", []uint64{0x00008000 | 17}, errnoAction(syscall.EPERM)}, // CLONE_PARENT
		{"socketpair", []uint64{1, 1}, allow},
		{"socketpair", []uint64{1, 1 | 0x80000}, allow},
		{"socketpair", []uint64{1 | rubbish, 1}, allow},
		{"socketpair", []uint64{1, 2}, errnoAction(syscall.EACCES)},
		{"socketpair", []uint64{1, 5}, errnoAction(syscall.EACCES)},
		{"socketpair", []uint64{2, 1}, errnoAction(syscall.EACCES)},
		{"sendto", []uint64{3, 4, 5, 0, 0}, allow},
		{"sendto", []uint64{3, 4, 5, 0, 0x1000}, errnoAction(syscall.EACCES)},
		{"sendto", []uint64{3, 4, 5, 0, rubbish}, errnoAction(syscall.EACCES)},
		{"prlimit64", []uint64{0}, allow},
		{"prlimit64", []uint64{1}, errnoAction(syscall.EPERM)},
		{"ioctl", []uint64{1, 0x5401}, allow},
		{"ioctl", []uint64{1, 0x5401 | rubbish}, allow}, // the kernel sees TCGETS
		{"ioctl", []uint64{1, 0x5412}, errnoAction(syscall.ENOTTY)},
		{"ioctl", []uint64{1, 0x5412 | 1<<32}, errnoAction(syscall.ENOTTY)},
		{"sendto", []uint64{3, 4, 5, 0x40 | 0x4000, 0}, allow},
		{"sendto", []uint64{3, 4, 5, 0x1, 0}, errnoAction(syscall.EOPNOTSUPP)}, // MSG_OOB
		{"sendto", []uint64{3, 4, 5, 0x1, 0x1000}, errnoAction(syscall.EACCES)},
		{"recvfrom", []uint64{3, 4, 5, 0x40 | 0x100}, allow},
		{"recvfrom", []uint64{3, 4, 5, 0x1}, errnoAction(syscall.EOPNOTSUPP)}, // MSG_OOB
		{"recvfrom", []uint64{3, 4, 5, 0x2}, errnoAction(syscall.EOPNOTSUPP)}, // MSG_PEEK
		{"recvfrom", []uint64{3, 4, 5, 0x42 | rubbish}, errnoAction(syscall.EOPNOTSUPP)},
		{"fcntl", []uint64{1, 4}, allow},
		{"fcntl", []uint64{1, 4, 0x2800}, allow},
		{"fcntl", []uint64{3, 8, 2}, allow}, // F_SETOWN, by the runner
		{"fcntl", []uint64{4, 8, 2}, errnoAction(syscall.EPERM)},
		{"fcntl", []uint64{3, 8, 1}, errnoAction(syscall.EPERM)},
		{"fcntl", []uint64{3, 8, 0xffffffff}, errnoAction(syscall.EPERM)},
		{"fcntl", []uint64{1, 10}, errnoAction(syscall.EPERM)}, // F_SETSIG
		{"fcntl", []uint64{1, 15}, errnoAction(syscall.EPERM)}, // F_SETOWN_EX
		{"fcntl", []uint64{1, 6}, allow},                       // F_SETLK
		{"msync", []uint64{1, 2, 1}, allow},
		{"msync", []uint64{1, 2, 4}, errnoAction(0)}, // MS_SYNC
		{"preadv2", []uint64{1, 2, 3, 4, 5, 0}, allow},
		{"preadv2", []uint64{1, 2, 3, 4, 5, 0x8}, errnoAction(syscall.EOPNOTSUPP)},   // RWF_NOWAIT
		{"pwritev2", []uint64{1, 2, 3, 4, 5, 0x80}, errnoAction(syscall.EOPNOTSUPP)}, // RWF_DONTCACHE
		{"pwritev2", []uint64{1, 2, 3, 4, 5, 0x2 | 0x10}, allow},
		{"mknodat", []uint64{1, 2, 0o600}, allow},
		{"mknodat", []uint64{1, 2, 0o010600}, allow},
		{"mknodat", []uint64{1, 2, 0o100600}, allow},
		{"mknodat", []uint64{1, 2, 0o140600}, errnoAction(syscall.EPERM)},
		{"mknodat", []uint64{1, 2, 0o020600}, errnoAction(syscall.EPERM)},
		{"mknodat", []uint64{1, 2, 0o060600}, errnoAction(syscall.EPERM)},
		{"madvise", []uint64{1, 2, 8}, allow},
		{"madvise", []uint64{1, 2, 9}, errnoAction(syscall.EINVAL)},
		{"madvise", []uint64{1, 2, 21}, errnoAction(syscall.EINVAL)},
		{"timer_create", []uint64{1}, allow},
		{"timer_create", []uint64{2}, errnoAction(syscall.EOPNOTSUPP)},
		{"timer_create", []uint64{0xfffffffa}, errnoAction(syscall.EOPNOTSUPP)}, // the CPU clock of a process
		{"clock_nanosleep", []uint64{1}, allow},
		{"clock_nanosleep", []uint64{2}, errnoAction(syscall.EOPNOTSUPP)},
		{"fcntl", []uint64{1, 1026}, errnoAction(syscall.EPERM)},
		{"fcntl", []uint64{1, 1024}, errnoAction(syscall.EPERM)},
		{"prctl", []uint64{15}, allow},
		{"prctl", []uint64{22}, errnoAction(syscall.EPERM)},
		{"personality", []uint64{0xffffffff}, allow},
		{"personality", []uint64{0x0040000}, errnoAction(syscall.EPERM)},
	}
	for arch, audit := range auditArch {
		vm := machine(t, arch, Options{})
		for _, test := range tests {
			n, _ := arch.number(test.call)
			if got := verdict(t, vm, audit, uint32(n), test.args...); got != test.want {
				t.Errorf("%s %s%v: %#x, want %#x", arch, test.call, test.args, got, test.want)
			}
		}
	}
}

// O_DIRECT differs between architectures: the bit of one is O_DIRECTORY of the other.
func TestDirectIOIsRefused(t *testing.T) {
	t.Parallel()
	bits := map[Arch][2]uint64{AMD64: {0x4000, 0x10000}, ARM64: {0x10000, 0x4000}}
	for arch, audit := range auditArch {
		vm := machine(t, arch, Options{})
		direct, folder := bits[arch][0], bits[arch][1]
		for call, arg := range map[string]int{"open": 1, "openat": 2, "fcntl": 2} {
			n, exists := arch.number(call)
			if !exists {
				continue
			}
			args := []uint64{0, 4, 0}
			args[arg] = direct | folder
			if got := verdict(t, vm, audit, uint32(n), args...); got != errnoAction(syscall.EINVAL) {
				t.Errorf("%s %s with O_DIRECT: %#x", arch, call, got)
			}
			args[arg] = folder
			if got := verdict(t, vm, audit, uint32(n), args...); got != allow {
				t.Errorf("%s %s with O_DIRECTORY: %#x", arch, call, got)
			}
		}
	}
}

// Codes of arch_prctl: the bases of FS and GS, and nothing of what came later.
func TestArchPrctlIsNarrow(t *testing.T) {
	t.Parallel()
	vm := machine(t, AMD64, Options{})
	n, _ := AMD64.number("arch_prctl")
	for code := range uint64(0x6000) {
		want := errnoAction(syscall.EINVAL)
		if code >= 0x1001 && code <= 0x1004 {
			want = allow
		}
		if got := verdict(t, vm, unix.AUDIT_ARCH_X86_64, uint32(n), code); got != want {
			t.Fatalf("code %#x: %#x, want %#x", code, got, want)
		}
	}
}

// TestLimitsInGVisor checks that user code there cannot set a limit that the filter before this one pretends to set.
func TestLimitsInGVisor(t *testing.T) {
	t.Parallel()
	refused := errnoAction(syscall.EPERM)
	for arch, audit := range auditArch {
		n, _ := arch.number("prlimit64")
		for _, test := range []struct {
			args  []uint64
			linux uint32
			want  uint32
		}{
			{[]uint64{0, unix.RLIMIT_NOFILE, 0x7fff_0000_1000}, allow, allow},
			{[]uint64{0, 9, 0x7fff_0000_1000}, allow, allow},
			{[]uint64{0, 10, 0x7fff_0000_1000}, allow, refused},
			{[]uint64{0, unix.RLIMIT_RTPRIO, 0x7fff_0000_1000}, allow, refused},
			{[]uint64{0, unix.RLIMIT_RTPRIO, 0x1_0000_0000}, allow, refused},
			{[]uint64{0, unix.RLIMIT_RTPRIO, 0}, allow, allow}, // reads it
			{[]uint64{1, unix.RLIMIT_NOFILE, 0x7fff_0000_1000}, refused, refused},
			{[]uint64{1, unix.RLIMIT_RTPRIO, 0}, refused, refused},
		} {
			linux, gvisor := machine(t, arch, Options{}), machine(t, arch, Options{GVisor: true})
			if got := verdict(t, linux, audit, uint32(n), test.args...); got != test.linux {
				t.Errorf("%s prlimit64%x: %#x, want %#x", arch, test.args, got, test.linux)
			}
			if got := verdict(t, gvisor, audit, uint32(n), test.args...); got != test.want {
				t.Errorf("%s prlimit64%x in gVisor: %#x, want %#x", arch, test.args, got, test.want)
			}
		}
	}
}

func TestEpollIsAnOption(t *testing.T) {
	t.Parallel()
	for arch, audit := range auditArch {
		for on, want := range map[bool]uint32{false: errnoAction(syscall.ENOSYS), true: allow} {
			vm := machine(t, arch, Options{Epoll: on})
			for _, name := range epoll {
				if n, exists := arch.number(name); exists {
					if got := verdict(t, vm, audit, uint32(n)); got != want {
						t.Errorf("%s %s with epoll %v: %#x, want %#x", arch, name, on, got, want)
					}
				}
			}
		}
	}
}

func TestFilterKillsForeignABIs(t *testing.T) {
	t.Parallel()
	vm := machine(t, AMD64, Options{})
	for name, got := range map[string]uint32{
		"i386 read":      verdict(t, vm, unix.AUDIT_ARCH_I386, 3),
		"x32 getpid":     verdict(t, vm, unix.AUDIT_ARCH_X86_64, x32Bit|39),
		"x32 highest":    verdict(t, vm, unix.AUDIT_ARCH_X86_64, 0xffffffff),
		"aarch64's read": verdict(t, vm, unix.AUDIT_ARCH_AARCH64, 63),
	} {
		if got != kill {
			t.Errorf("%s: %#x", name, got)
		}
	}
	if got := verdict(t, machine(t, ARM64, Options{}), unix.AUDIT_ARCH_ARM, 3); got != kill {
		t.Errorf("arm read: %#x", got)
	}
}

// The kernel takes at most BPF_MAXINSNS (4096) instructions. Assembling checks that every jump is
// within reach.
func TestFilterIsSmall(t *testing.T) {
	t.Parallel()
	for arch := range auditArch {
		blob, err := Filter(arch, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d instructions", arch, len(blob)/8)
		if len(blob) == 0 || len(blob)/8 > 700 {
			t.Errorf("%s: %d instructions", arch, len(blob)/8)
		}
	}
}
