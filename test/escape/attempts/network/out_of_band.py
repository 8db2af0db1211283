# tries: out-of-band data on a socketpair, and to read without taking
# incident: CVE-2025-38236 (out-of-band data of AF_UNIX, used to leave a browser's sandbox), CVE-2026-23394 (MSG_PEEK)
# protection: the filter allows flags that send() and recv() need
# inside: []
import socket


def main():
    a, b = socket.socketpair()
    b.setblocking(False)
    done = succeeded("send MSG_OOB", a.send, b"x", socket.MSG_OOB)
    a.send(b"x")
    for name in ("MSG_OOB", "MSG_PEEK", "MSG_ERRQUEUE"):
        done += succeeded("recv " + name, b.recv, 1, getattr(socket, name))
        done += succeeded("recv_into " + name, b.recv_into, bytearray(1), 1, getattr(socket, name) | socket.MSG_DONTWAIT)
    if b.recv(9, socket.MSG_DONTWAIT | socket.MSG_WAITALL) != b"x":
        done.append("nothing was sent")
    return done
