# tries: arguments with bits set above bit 31, to pass a 64-bit comparison of a value that the kernel uses as 32 bits
# incident: filters that compare whole registers miss ioctl(TIOCSTI | 1<<32) (snapd, CVE-2019-7303)
# protection: conditions are an allow-list, and masked
# inside: []
import os


def main():
    a, b = os.pipe()
    high = 1 << 32
    wrong = []
    for name, number, arguments in (
        ("socketpair datagram", 53, (1 | high, 2 | high, 0, 0)),
        ("socketpair inet", 53, (2 | high, 1, 0, 0)),
        ("ioctl TIOCSTI", 16, (a, 0x5412 | high, 0)),
        ("ioctl TIOCSTI, no high bits", 16, (a, 0x5412, 0)),
        ("fcntl F_SETLEASE", 72, (a, 1024 | high, 0)),
        ("fcntl F_NOTIFY", 72, (a, 1026, 0)),
        ("prlimit64 of pid 1", 302, (1 | high, 7, 0, 0)),
        ("personality", 135, (0x0040000 | high,)),
        ("prctl PR_SET_SECCOMP", 157, (22, 2, 0, 0, 0)),
        ("prctl PR_SET_MM", 157, (35 | high, 1, 0, 0, 0)),
        ("clone NEWUSER", 56, (0x10000000 | 17 | high, 0, 0, 0, 0)),
    ):
        if os.uname().machine == "x86_64" and syscall(number, *arguments)[0] != -1:
            wrong.append(name)
    return wrong
