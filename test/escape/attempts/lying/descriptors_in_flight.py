# tries: to send its stdout over the channel, so that it stays open after the process has exited
# incident: found here: the worker waited for the end of that output forever, and lost a slot each time
# protection: the filter allows no sendmsg; the worker closes the channel first, and waits a second at most
# inside: 1
# outside: next at once
# within: 5s
import _socket, array, contextlib, os, socket, struct


def main():
    s = socket.socket(fileno=3)
    s.sendall(b"R" + struct.pack(">I", 1) + b"1")
    with contextlib.suppress(PermissionError):
        _socket.socket.sendmsg(s, [b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2, 3]))])
    os._exit(0)
