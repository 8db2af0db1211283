# tries: to read from the machine's disk past the page cache, as often as it likes: O_DIRECT, asynchronous reads
# incident: found here: O_DIRECT reads of shared files worked
# protection: the filter
# inside: []
import ctypes, fcntl, os, platform


def main():
    direct = 0x10000 if platform.machine() == "aarch64" else 0x4000
    done = []
    for path in (os.__file__, "/tmp/x", "/bin/sh"):
        if path == "/tmp/x":
            open(path, "w").close()
        try:
            os.open(path, os.O_RDONLY | direct)
            done.append(["open", path])
        except OSError as e:
            if e.errno != 22:
                done.append(["open", path, e.errno])
        if syscall(2, path.encode(), direct | os.O_CLOEXEC, 0) != (-1, 22):
            done.append(["open(2)", path])
        fd = os.open(path, os.O_RDONLY)
        try:
            fcntl.fcntl(fd, fcntl.F_SETFL, direct)
            done.append(["F_SETFL", path])
        except OSError as e:
            if e.errno != 22:
                done.append(["F_SETFL", path, e.errno])
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
    how = (ctypes.c_uint64 * 3)(direct, 0, 0)
    if syscall(437, -100, b"/bin/sh", how, 24) != (-1, 38):
        done.append("openat2")
    for name, number in (("io_setup", 206), ("io_submit", 209), ("io_uring_setup", 425), ("io_uring_enter", 426)):
        if syscall(number, 1, ctypes.create_string_buffer(256), 0) != (-1, 1):
            done.append(name)
    return done
