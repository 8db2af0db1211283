package seccomp

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every name in the lists is a system call, and is in one list only.
func TestListsAreConsistent(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, list := range [][]string{allowed, epoll, unreachable, absent, ignored} {
		for _, name := range list {
			seen[name]++
		}
	}
	for _, r := range conditional(AMD64) {
		seen[r.Name]++
		if len(r.AnyOf) == 0 || r.Allows == "" || r.Needs == "" {
			t.Errorf("%s: a conditional call needs conditions, their words and who needs it", r.Name)
		}
	}
	for name, times := range seen {
		if times > 1 {
			t.Errorf("%s stands in %d lists", name, times)
		}
		if _, known := numbers[name]; !known {
			t.Errorf("%s is no system call", name)
		}
	}
}

// The calls that the design refuses by name are not allowed on either architecture.
func TestNamedCallsAreRefused(t *testing.T) {
	t.Parallel()
	for _, arch := range []Arch{AMD64, ARM64} {
		for _, name := range []string{
			"ptrace", "mount", "umount2", "unshare", "setns", "bpf", "io_uring_setup", "io_uring_enter",
			"io_uring_register", "keyctl", "add_key", "request_key", "userfaultfd", "perf_event_open",
			"inotify_init1", "inotify_add_watch", "fanotify_init", "fanotify_mark", "kexec_load", "init_module",
			"finit_module", "delete_module", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "pivot_root",
			"chroot", "memfd_create", "open_by_handle_at", "setuid", "setresuid", "capset", "seccomp", "reboot",
			"swapon", "clock_settime", "syslog", "kcmp", "move_mount", "fsopen", "open_tree", "mount_setattr",
			"sendmsg", "recvmsg", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "mlockall",
			"shmget", "msgget", "semget", "mq_open", "acct", "quotactl", "vmsplice", "splice", "execveat",
		} {
			if !slices.Contains(forUserCode(arch, Options{}).refusedNames(), name) {
				t.Errorf("%s is not refused on %s", name, arch)
			}
		}
		for _, name := range []string{"socket", "connect", "bind", "listen", "accept4", "sendmmsg"} {
			if !slices.Contains(unreachable, name) {
				t.Errorf("%s is not unreachable", name)
			}
		}
	}
}

// The policy names every call of an architecture: none falls to the default by oversight.
func TestKafelNamesEveryCall(t *testing.T) {
	t.Parallel()
	for _, arch := range []Arch{AMD64, ARM64} {
		policy := Kafel(arch, Options{})
		for name := range numbers {
			_, exists := arch.number(name)
			mentioned := regexp.MustCompile(`\b` + name + `\b`).MatchString(policy)
			if exists != mentioned {
				t.Errorf("%s: %s exists: %v, in the policy: %v", arch, name, exists, mentioned)
			}
		}
		if !strings.Contains(policy, "DEFAULT ERRNO(38)") {
			t.Errorf("%s: what is unknown must fail with ENOSYS", arch)
		}
	}
}

func TestKafelConditions(t *testing.T) {
	t.Parallel()
	policy := Kafel(AMD64, Options{})
	for _, want := range []string{
		"ALLOW { clone(a0) { (a0 & 0x7e028400) == 0 || (a0 & 0x7e038000) == 65536 } }",
		"ALLOW { socketpair(a0, a1) { (a0 & 0xffffffff) == 1 && (a1 & 0xf) == 1 } }",
		"ALLOW { prlimit64(a0) { (a0 & 0xffffffff) == 0 } }",
		"ALLOW { sendto(a0, a1, a2, a3, a4) { a4 == 0 && (a3 & 0xffff3f3f) == 0 } },\n" +
			"  ERRNO(95) { sendto(a0, a1, a2, a3, a4) { a4 == 0 } }",
		"ALLOW { open(a0, a1) { (a1 & 0x4000) == 0 } }",
		"ERRNO(0) {\n    fdatasync, fsync, sync, sync_file_range, syncfs, msync\n  }",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %q", want)
		}
	}
}

// Of the calls refused to user code, a zygote may make only those that set up a sandbox.
func TestZygoteCallsBeyondAJobs(t *testing.T) {
	t.Parallel()
	user, zygote := forUserCode(AMD64, Options{}).refusedNames(), forZygotes(AMD64, Options{}).refusedNames()
	var more []string
	for _, name := range user {
		if !slices.Contains(zygote, name) {
			more = append(more, name)
		}
	}
	want := []string{
		"capset", "mount", "recvmsg", "seccomp", "sendmsg", "setgroups", "setns", "setresgid", "setresuid", "umount2",
		"unshare",
	}
	if !slices.Equal(more, want) {
		t.Errorf("a zygote may also: %v, want %v", more, want)
	}
}
