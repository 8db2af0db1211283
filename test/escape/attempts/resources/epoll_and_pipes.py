# tries: big pipes, event descriptors and nested epoll sets without end
# protection: RLIMIT_NOFILE, the kernel's bounds for each user, the memory limit
# inside: "bounded"
# outside: next at once
import fcntl, os, select


def main():
    grown, kept = 0, []
    try:
        while True:
            kept.append(os.pipe())
            fcntl.fcntl(kept[-1][1], 1031, 1 << 20)
            grown += 1
    except OSError:
        pass
    for a, b in kept:
        os.close(a), os.close(b)
    sets = []
    try:
        while True:
            sets.append(select.epoll())
            if len(sets) > 1:
                sets[-1].register(sets[-2].fileno())
    except OSError:
        pass
    return "bounded"
