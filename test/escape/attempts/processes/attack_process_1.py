# tries: to end, stop, slow down, trace or limit process 1 of its namespace
# protection: process 1 has another user (warm), or ignores signals from inside and is not dumpable (cold); the filter
# inside: []
# outside: next at once
import os, signal, time


def main():
    done = []
    for number in range(1, 65):
        try:
            os.kill(1, number)
        except OSError:
            pass
    for number in (101, 310, 311):  # ptrace, process_vm_readv, process_vm_writev
        if syscall(number, 16, 1, 0, 0, 0, 0)[0] != -1:
            done.append(number)
    if syscall(302, 1, 7, 0, 0)[0] != -1:
        done.append("prlimit64")
    try:
        signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL)
    except OSError:
        pass
    time.sleep(0.2)
    # It is alive: a child can be created and is reaped.
    return done + [in_child(lambda: None)] if in_child(lambda: None) else done
