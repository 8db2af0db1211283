# tries: a program of its own in the kernel, by SO_ATTACH_FILTER and SO_ATTACH_BPF on a socket that is allowed
# incident: classic BPF on sockets feeds the kernel's JIT compiler (JIT spraying, CVE-2016-2383 and kin)
# protection: the filter allows a few options of setsockopt only
# inside: []
import ctypes, socket


def main():
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    a, _ = socket.socketpair()
    code = (ctypes.c_uint64 * 1)(0xFFFFFFFF_00000006)  # BPF_RET, everything
    program = bytes(Program(1, ctypes.addressof(code)))
    attached = succeeded("SO_ATTACH_FILTER", a.setsockopt, socket.SOL_SOCKET, 26, program)
    attached += succeeded("SO_ATTACH_BPF", a.setsockopt, socket.SOL_SOCKET, 50, 3)
    attached += succeeded("SO_DETACH_FILTER", a.setsockopt, socket.SOL_SOCKET, 27, 0)
    a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    return attached
