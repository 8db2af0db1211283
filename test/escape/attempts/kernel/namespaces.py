# tries: unshare, setns and clone with every namespace flag
# incident: inside a user namespace a process has every capability (CVE-2022-0185, CVE-2023-32233 begin so)
# protection: the filter; in warm sandboxes max_user_namespaces is 0 as well
# inside: []
import os, signal


def main():
    made = []
    for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        if syscall(272, flag)[0] != -1:
            made.append(["unshare", flag])
        if flag != 0x80:
            pid, _ = syscall(56, flag | signal.SIGCHLD, 0, 0, 0, 0)
            if pid == 0:
                os._exit(0)
            if pid > 0:
                made.append(["clone", flag])
        for pid in (1, os.getpid()):
            try:
                fd = os.pidfd_open(pid)
            except OSError:
                continue
            if syscall(308, fd, flag)[0] != -1:
                made.append(["setns", flag])
    if syscall(435, b"\0" * 88, 88)[0] != -1:
        made.append("clone3")
    return made
