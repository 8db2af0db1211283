# tries: to make the machine's disk write and flush its cache, over and over, by way of files that are only read
# incident: found here: 10,000 os.fsync() of a shared library were 10,000 flushes of the disk, for 0.23 s of CPU time
# protection: the filter: these calls succeed and do nothing
# inside: []
import mmap, os


def main():
    a, b = os.pipe()
    done = []
    # The kernel refuses all of these; a call that does nothing succeeds.
    for name, number, arguments in (
        ("fsync", 74, (a,)), ("fdatasync", 75, (a,)), ("sync_file_range", 277, (a, -1, -1, 0)), ("syncfs", 306, (-1,)),
        ("sync", 162, ()), ("msync(MS_SYNC)", 26, (4096, 4096, 4)),
    ):
        if syscall(number, *arguments)[0] != 0:
            done.append(name)
    # What programs need of them goes on working.
    with open("/tmp/x", "w+b") as f:
        f.write(b"x" * 4096)
        f.flush()
        os.fsync(f.fileno())
        with mmap.mmap(f.fileno(), 4096) as memory:
            memory[0] = 121
            memory.flush()
        if os.pread(f.fileno(), 1, 0) != b"y":
            done.append("lost")
    with open(os.__file__, "rb") as f:
        os.fsync(f.fileno())
    # Whether an address is mapped can still be asked.
    if syscall(26, 4096, 4096, 1)[1] != 12:
        done.append("msync(MS_ASYNC) says nothing")
    return done
