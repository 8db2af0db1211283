# tries: rare arguments of calls that are allowed: advice on shared pages, devices, codes of the processor, flags of reads
# incident: what neighbours read could be seen in the page cache by RWF_NOWAIT (as by mincore: CVE-2019-5489)
# protection: the filter allows arguments that programs use
# inside: []
import ctypes, mmap, os


def main():
    done = []
    fd = os.open(os.__file__, os.O_RDONLY)
    memory = mmap.mmap(fd, 4096, prot=mmap.PROT_READ)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mmap.mmap(-1, 4096)))
    for advice in range(-1, 110):
        allowed = advice in (0, 1, 2, 3, 4, 8, 10, 11, 13, 14, 15, 16, 17, 18, 19, 22, 23, 24)
        if not allowed and syscall(28, address, 4096, advice) != (-1, 22):
            done.append(["madvise", advice])
    for advice in (mmap.MADV_WILLNEED, mmap.MADV_SEQUENTIAL):
        memory.madvise(advice)
    for flag in (8, 64, 128, 256):
        try:
            os.preadv(fd, [bytearray(10)], 0, flag)
            done.append(["preadv2", flag])
        except OSError as e:
            if e.errno != 95:
                done.append(["preadv2", flag, e.errno])
    os.preadv(fd, [bytearray(10)], 0)
    for kind in (0o020000, 0o060000, 0o140000):
        done += succeeded(["mknod", kind], os.mknod, f"/tmp/{kind}", kind | 0o600)
    os.mkfifo("/tmp/fifo")
    os.mknod("/tmp/plain")
    for code in (0x1005, 0x1011, 0x1022, 0x1023, 0x1024, 0x2001, 0x3001, 0x5001, 0x5005):
        if os.uname().machine == "x86_64" and syscall(158, code, 0) != (-1, 22):
            done.append(["arch_prctl", code])
    for command in (9, 10, 11, 15, 16, 17, 1024, 1025, 1026, 1027, 1028, 1029, 1035, 1036, 1037, 1038):
        if syscall(72, fd, command, 0) != (-1, 1):
            done.append(["fcntl", command])
    # Signals on a descriptor: the runner's channel only, to the script's own process.
    for at, owner in ((fd, 2), (3, 1), (3, -2), (3, 0)):
        if syscall(72, at, 8, owner) != (-1, 1):
            done.append(["F_SETOWN", at, owner])
    return done
