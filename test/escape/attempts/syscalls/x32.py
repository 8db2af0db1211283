# tries: every call by its x32 entry, which shares x86-64's architecture value
# incident: an allow-by-default Kafel policy, and many filters that look at the number only, let x32 pass
# protection: the filter kills calls whose number has bit 30 set, or refuses them
# inside: []
import os, platform


def main():
    if platform.machine() != "x86_64":
        return []
    def call():
        os._exit(0 if syscall(number | 0x40000000, 0, 0, 0, 0, 0, 0) == (-1, 38) else 77)

    went_through = []
    for number in (0, 39, 41, 57, 101, 165, 272, 321, 425, 520, 545):
        if in_child(call) not in (0, -31):  # refused, or SIGSYS
            went_through.append(number)
    return went_through
