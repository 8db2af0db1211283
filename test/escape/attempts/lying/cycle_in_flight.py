# tries: to keep its outputs and its channel open in a cycle of sockets in flight over one another
# incident: the kernel's collector of such cycles has been a source of holes (CVE-2021-0920)
# protection: the filter allows no sendmsg; the worker waits a second at most
# inside: exit
# outside: next at once
# within: 5s
import _socket, array, contextlib, os, socket


def main():
    def send(over, *fds):
        with contextlib.suppress(PermissionError):
            _socket.socket.sendmsg(over, [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])

    pairs = [socket.socketpair() for _ in range(8)]
    for (a, b), (c, d) in zip(pairs, pairs[1:] + pairs[:1]):
        send(a, c.fileno(), d.fileno(), 1, 2, 3)
        send(b, c.fileno(), d.fileno(), 1, 2, 3)
    os._exit(0)
