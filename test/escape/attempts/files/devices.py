# tries: to make and to open device nodes
# protection: no CAP_MKNOD, nodev
# inside: []
import os, stat


def main():
    made = []
    for name, kind, major, minor in (("null", stat.S_IFCHR, 1, 3), ("mem", stat.S_IFCHR, 1, 1), ("disk", stat.S_IFBLK, 254, 0)):
        for folder in ("/tmp", "/dev/shm", "/dev"):
            made += succeeded(f"{folder}/{name}", os.mknod, f"{folder}/{name}", kind | 0o666, os.makedev(major, minor))
    present = set(os.listdir("/dev")) - {"null", "zero", "random", "urandom", "fd", "stdin", "stdout", "stderr", "shm"}
    return made + sorted(present)
