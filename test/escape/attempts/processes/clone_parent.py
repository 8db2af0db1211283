# tries: to create children whose parent is the zygote (CLONE_PARENT), which does not expect them
# incident: found here: the namespace could not end; the zygote waited for it and was killed with its other sandboxes
# protection: the filter allows no CLONE_PARENT, and the zygote does not wait for a namespace
# inside: "refused"
# outside: next at once
import os, signal


def main():
    result, code = syscall(56 if os.uname().machine == "x86_64" else 220, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)
    if result == 0:
        os._exit(0)
    return "refused" if (result, code) == (-1, 1) else [result, code]
