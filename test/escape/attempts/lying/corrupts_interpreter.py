# tries: ctypes writes over the interpreter's own objects
# protection: the process ends with a fatal signal, which is reported, and other processes are not affected
# inside: killed SIGSEGV | killed SIGABRT | killed SIGBUS | killed SIGILL
# outside: next at once
import ctypes


def main():
    for thing in (1, None, (), dict, type, main):
        ctypes.memset(id(thing), 0x41, 32)
    return [1, None, ()]
