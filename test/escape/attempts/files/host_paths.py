# tries: paths of the machine, directly, by .., and by links out of /tmp
# protection: a root of its own with nothing but what is mounted
# inside: []
# gvisor: ~\[("/proc/[^"]*",?)+\]
# outside: canary
import os


def main():
    found = []
    for path in ("/etc/shadow", "/root", "/home", "/var", "/run", "/sys", "/boot", "/etc/hostname", "/etc/ssh", "/etc/resolv.conf",
                 "/usr/local", "/srv", "/mnt", "/proc/sys", "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmsg", "/proc/kallsyms",
                 "/proc/keys", "/proc/modules", "/proc/interrupts", "/proc/meminfo", "/proc/mounts/../../sys", "/dev/mem", "/dev/kmsg",
                 "/dev/fuse", "/dev/kvm", "/dev/tty", "/dev/ptmx", "/dev/net/tun", "/dev/userfaultfd", CANARY):
        found += succeeded(path, os.stat, path)
        os.symlink(path, "/tmp/link")
        found += succeeded(path + " by a link", os.stat, "/tmp/link")
        os.unlink("/tmp/link")
        found += succeeded(path + " by ..", os.stat, "/tmp/" + "../" * 30 + path)
        found += succeeded(path + " by root", os.stat, "/proc/self/root/.." + path)
        found += succeeded(path + " by cwd", os.stat, "/proc/self/cwd/../../.." + path)
    return found
