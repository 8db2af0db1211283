# tries: timers on CPU time, of itself, of its threads and of others
# incident: CVE-2025-38352 (a timer on CPU time that is deleted while it fires; used against phones)
# protection: the filter allows the clocks of real time only
# inside: []
import ctypes, os, struct, time


def main():
    done = []
    identity, moment = ctypes.create_string_buffer(8), struct.pack("qq", 0, 1)
    of_process = [~pid << 3 | kind for pid in (0, 1, os.getpid()) for kind in (0, 1, 2, 4, 6)]
    for clock in (2, 3, *of_process):
        clock &= 0xFFFFFFFF
        if syscall(222, clock, 0, identity) != (-1, 95):
            done.append(["timer_create", clock])
        if syscall(230, clock, 0, moment, 0) != (-1, 95):
            done.append(["clock_nanosleep", clock])
    if syscall(222, 1, 0, identity)[0] != 0:
        done.append("no timers at all")
    time.sleep(0.001)
    return done
