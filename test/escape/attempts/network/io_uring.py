# tries: sockets and files through io_uring, whose requests no filter sees
# incident: CVE-2022-29582 and kin; most of what broke Google's kCTF
# protection: the filter
# inside: []
import ctypes


def main():
    parameters = ctypes.create_string_buffer(120)
    made = [n for n in (425, 426, 427) if syscall(n, 8, parameters, 0, 0)[0] != -1]
    return made
