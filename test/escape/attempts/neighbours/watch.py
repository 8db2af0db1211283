# tries: to watch what a neighbour opens: inotify, fanotify, leases, F_NOTIFY on shared libraries, the page cache
# incident: inotify on shared libraries revealed what a neighbour imported
# protection: the filter
# beside: beside/listener
# inside: []
import ctypes, fcntl, os


def main():
    watches = []
    for name, number, arguments in (("inotify_init", 253, ()), ("inotify_init1", 294, (0,)), ("fanotify_init", 300, (0, 0)), ("mincore", 27, (0, 0, 0))):
        if syscall(number, *arguments)[0] != -1:
            watches.append(name)
    fd = os.open(os.__file__, os.O_RDONLY)
    folder = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
    watches += succeeded("lease", fcntl.fcntl, fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    watches += succeeded("get lease", fcntl.fcntl, fd, fcntl.F_GETLEASE)
    watches += succeeded("notify", fcntl.fcntl, folder, fcntl.F_NOTIFY, 1)
    return watches
