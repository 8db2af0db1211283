# tries: to read, write, link and rename a file of the machine that every user may write to
# protection: a root of its own, and mount namespaces
# inside: []
# outside: canary
import os


def main():
    path = CANARY + "/file"
    done = []
    for name, call in {
        "read": lambda: open(path).read(), "write": lambda: open(path, "w").write("mine"), "link": lambda: os.link(path, "/tmp/l"),
        "rename": lambda: os.rename(path, path + "2"), "unlink": lambda: os.unlink(path), "make": lambda: os.mkdir(CANARY + "/x"),
        "makedirs": lambda: os.makedirs(CANARY) or os.rmdir("/nowhere"),
        "dotdot": lambda: open("/tmp/../../../../../../.." + path).read(),
        "root of 1": lambda: open("/proc/1/root" + path).read(),
    }.items():
        try:
            call()
            done.append(name)
        except OSError:
            pass
    return done
