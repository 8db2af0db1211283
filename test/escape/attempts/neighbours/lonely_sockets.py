# tries: to reach a neighbour's socket that lost its peer, with data and with descriptors
# incident: an AF_UNIX datagram pair autobinds, loses its peer, and receives from any process in its network namespace
# protection: stream pairs only, no address in sendto, a network namespace of its own
# beside: beside/listener
# inside: []
import socket, struct


def main():
    reached = succeeded("datagrams", socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM)
    a, b = socket.socketpair()
    b.close()
    for n in range(0x500):
        name = b"\0%05x" % n  # a name that autobind picks
        reached += succeeded(n, a.connect, name.decode())
        reached += succeeded(n, lambda: a.sendto(b"x", name.decode()))
        header = struct.pack("H", 1) + name
        if syscall(44, a.fileno(), b"x", 1, 0, header, len(header))[0] != -1:
            reached.append(["sendto", n])
    return reached
