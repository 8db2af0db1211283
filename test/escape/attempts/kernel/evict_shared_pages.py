# tries: to evict files that neighbours read from the page cache: the interpreter and its libraries
# protection: the filter allows no POSIX_FADV_DONTNEED
# inside: "refused"
import os


def main():
    fd = os.open(os.__file__, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    except PermissionError:
        return "refused"
    return "thrown out"
