# tries: to switch address randomization off for what it starts, and other personalities
# protection: the filter allows only reading the personality
# inside: []
def main():
    return [p for p in (0x0040000, 0x0400000, 0x0000008, 0x0100000) if syscall(135, p)[0] != -1]
