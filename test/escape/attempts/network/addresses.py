# tries: a socket of every address family and kind, netlink, packet and vsock among them
# protection: the filter (socket fails with EACCES), and a network namespace without an interface
# inside: []
import socket


def main():
    opened = []
    for family in range(0, 46):
        for kind in (1, 2, 3, 4, 5, 10):
            for protocol in (0, 1, 6, 17, 255):
                try:
                    socket.socket(family, kind, protocol).close()
                    opened.append([family, kind, protocol])
                except PermissionError:
                    pass
                except OSError as e:
                    opened.append([family, kind, protocol, e.errno])
    return opened
