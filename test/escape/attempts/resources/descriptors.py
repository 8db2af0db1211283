# tries: all the open files of the machine, also by sending them to itself over sockets
# protection: the filter allows no sendmsg; RLIMIT_NOFILE, and the kernel's bound on descriptors in flight
# inside: true
# outside: next at once
import _socket, array, os, socket


def main():
    a, b = socket.socketpair()
    a.setblocking(False)
    sent = 0
    try:
        while sent < 100_000:
            _socket.socket.sendmsg(a, [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0] * 50))])
            sent += 50
    except OSError:
        pass
    kept = []
    try:
        while True:
            kept.append(os.dup(0))
    except OSError:
        pass
    return len(kept) <= 256 and sent < 100_000
