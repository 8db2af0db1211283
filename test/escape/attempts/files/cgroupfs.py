# tries: to find or to mount the control groups, and to raise its own limits there
# incident: CVE-2022-0492 (release_agent)
# protection: no cgroupfs is mounted, no mount, a cgroup namespace whose root is its own group
# inside: []
import os


def main():
    reached = []
    with open("/proc/self/mountinfo") as f:
        reached += [line for line in f if " cgroup" in line]
    for source in (b"cgroup", b"cgroup2", b"proc", b"sysfs", b"tmpfs", b"devpts", b"overlay"):
        if syscall(165, source, b"/tmp", source, 0, 0)[0] != -1:
            reached.append(source.decode())
    reached += succeeded("release_agent", os.stat, "/sys/fs/cgroup/release_agent")
    return reached
