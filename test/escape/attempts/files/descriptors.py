# tries: descriptors that were left open: folders outside, cgroup files, other jobs' pipes
# incident: CVE-2024-21626 (runc left a folder of the machine open)
# protection: only 0 to 3 are passed on; the rest is closed
# inside: [["null","pipe","pipe","socket"],[]]
# outside: canary
import os


def main():
    kinds, beyond = [], []
    for fd in sorted(map(int, os.listdir("/proc/self/fd"))):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue  # the folder's own
        if fd > 3:
            beyond.append([fd, target])
        else:
            kinds.append("null" if target == "/dev/null" else target.split(":")[0])
        beyond += succeeded(["chdir", fd], os.chdir, f"/proc/self/fd/{fd}/../../..")
    return [kinds, beyond]
