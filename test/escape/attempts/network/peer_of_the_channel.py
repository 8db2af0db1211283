# tries: to identify the peer of the channel (a pidfd of the worker by SO_PEERPIDFD) and to signal it
# protection: pid namespaces: a pidfd of a process outside cannot be opened in another way, or signalled
# inside: []
import os, signal, socket, struct


def main():
    channel = socket.socket(fileno=os.dup(3))
    found = []
    pid, uid, _ = struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if pid != 0:
        found.append(["pid", pid])
    try:
        pidfd = struct.unpack("i", channel.getsockopt(socket.SOL_SOCKET, 77, 4))[0]
    except OSError:
        return found  # a kernel before 6.5
    for number in (0, signal.SIGCONT, signal.SIGTERM):
        found += succeeded(["signal", number], signal.pidfd_send_signal, pidfd, number)
    for request in (0xFF01, 0xFF02, 0xFF03, 0xFF04, 0xFF05):
        if syscall(16, pidfd, request, 0)[0] != -1:
            found.append(["namespace", request])
    if syscall(438, pidfd, 0, 0)[0] != -1:
        found.append("pidfd_getfd")
    return found
