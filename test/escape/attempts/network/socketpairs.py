# tries: pairs of datagram and packet sockets, whose autobound names lie in the network namespace, and sending to an address
# incident: an AF_UNIX datagram pair that lost its peer received a neighbour's data and an open file
# protection: the filter allows AF_UNIX stream pairs only, and no address in sendto
# inside: []
import socket


def main():
    reached = []
    for family in range(0, 46):
        for kind in (1, 2, 3, 4, 5):
            if (family, kind) != (socket.AF_UNIX, socket.SOCK_STREAM):
                try:
                    socket.socketpair(family, kind)
                    reached.append([family, kind])
                except PermissionError:
                    pass
                except OSError as e:
                    # The kernel's own error: the filter let the call through.
                    reached.append([family, kind, e.errno])
    a, b = socket.socketpair()
    address = b"\x01\x00\x00somebody"
    if syscall(44, a.fileno(), b"x", 1, 0, address, len(address))[0] != -1:
        reached.append("sendto an address")
    for name in ("\0somebody", "/tmp/socket"):
        reached += succeeded("bind " + name, a.bind, name)
        reached += succeeded("connect " + name, a.connect, name)
    reached += succeeded("listen", b.listen)
    return reached
