# tries: to throw out of the page cache what neighbours read: the interpreter and its libraries
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
