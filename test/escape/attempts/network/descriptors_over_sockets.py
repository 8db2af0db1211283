# tries: to send descriptors over sockets, and to receive some; to leave cycles of them to the kernel's collector
# incident: CVE-2021-0920, CVE-2025-40214 (the collector frees what is in use)
# protection: the filter allows no sendmsg and no recvmsg
# inside: []
import _socket, array, socket


def main():
    a, b = socket.socketpair()
    b.setblocking(False)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [a.fileno(), b.fileno()]))]
    done = succeeded("sendmsg", _socket.socket.sendmsg, a, [b"x"], rights)
    done += succeeded("sendmsg of bytes", _socket.socket.sendmsg, a, [b"x"])
    a.send(b"x")
    done += succeeded("recvmsg", _socket.socket.recvmsg, b, 9, 99)
    for name, number in (("sendmsg", 46), ("recvmsg", 47)):
        if syscall(number, a.fileno(), 0, 0) != (-1, 1):
            done.append(["not refused", name])
    if hasattr(a, "sendmsg") or hasattr(socket.socket, "recvmsg"):
        done.append("libraries would try")
    return done
