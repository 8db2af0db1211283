# tries: to use timers, signals and locks of the kernel without end
# protection: RLIMIT_SIGPENDING of its own user, and the memory limit
# inside: "bounded"
# gvisor: 300000 | "bounded" | timeout
# outside: next at once
# within: 16s
import fcntl, os, signal, struct


def main():
    timers = 0
    identity = struct.pack("i", 0) * 2
    while timers < 300_000 and syscall(222, 1, 0, identity)[0] != -1:
        timers += 1
    fd = os.open("/tmp/locks", os.O_CREAT | os.O_RDWR)
    for i in range(0, 4_000, 2):
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, i)
    return "bounded" if timers < 300_000 else timers
