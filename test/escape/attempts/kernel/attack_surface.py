# tries: calls that kernel exploits begin with, with arguments that would work
# incident: CVE-2021-3490 (bpf), CVE-2016-0728 (keyctl), CVE-2013-2094 (perf_event_open), CVE-2022-0847 (splice)
# protection: the filter
# inside: []
import ctypes, os


def main():
    a, b = os.pipe()
    big = ctypes.create_string_buffer(256)
    done = []
    for name, number, arguments in (
        ("bpf", 321, (0, big, 72)), ("keyctl", 250, (0, -3, 1)), ("add_key", 248, (b"user", b"x", b"y", 1, -3)),
        ("perf_event_open", 298, (big, 0, -1, -1, 0)), ("userfaultfd", 323, (1,)), ("splice", 275, (a, 0, b, 0, 1, 0)),
        ("vmsplice", 278, (b, big, 1, 0)), ("tee", 276, (a, b, 1, 0)), ("memfd_create", 319, (b"x", 0)), ("execveat", 322, (-100, b"/bin/true", 0, 0, 0)),
        ("inotify_init", 253, ()), ("inotify_init1", 294, (0,)), ("fanotify_init", 300, (0, 0)), ("init_module", 175, (big, 1, b"")),
        ("finit_module", 313, (0, b"", 0)), ("kexec_load", 246, (0, 0, 0, 0)), ("modify_ldt", 154, (0, big, 16)), ("iopl", 172, (3,)),
        ("ioperm", 173, (0x80, 1, 1)), ("process_vm_readv", 310, (1, 0, 0, 0, 0, 0)), ("pidfd_getfd", 438, (3, 0, 0)), ("kcmp", 312, (1, 2, 0, 0, 0)),
        ("mbind", 237, (0, 0, 0, 0, 0, 0)), ("move_pages", 279, (0, 0, 0, 0, 0, 0)), ("sched_setaffinity", 203, (0, 8, big)),
        ("sched_setscheduler", 144, (0, 1, big)), ("acct", 163, (0,)), ("quotactl", 179, (0, 0, 0, 0)), ("syslog", 103, (3, big, 10)),
        ("reboot", 169, (0xFEE1DEAD, 672274793, 0, 0)), ("settimeofday", 164, (big, 0)), ("landlock", 444, (0, 0, 1)), ("secretmem", 447, (0,)),
        ("ptrace", 101, (0, 0, 0, 0)), ("seccomp", 317, (1, 0, big)), ("lookup_dcookie", 212, (0, big, 10)), ("mincore", 27, (0x400000, 4096, big)),
        ("cachestat", 451, (0, big, big, 0)), ("io_setup", 206, (1, big)), ("remap_file_pages", 216, (0, 0, 0, 0, 0)),
    ):
        if syscall(number, *arguments)[0] != -1:
            done.append(name)
    return done
