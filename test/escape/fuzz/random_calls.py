"""A sandbox script that makes random system calls; fuzz.py adds a seed.

Children make calls with random numbers and arguments until the time is over. Most are killed by a signal, and are
replaced.
"""

SCRIPT = '''
import ctypes, os, random, signal, time

def work(rng, libc, until):
    keep = ctypes.create_string_buffer(4096)
    pointer = ctypes.addressof(keep)
    words = [0, 1, 2, 3, 4, 8, 16, 0xFF, 0x1000, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 32, 1 << 63, 2**64 - 1, pointer, pointer + 64, 0x10000000 | 17, 0x8000 | 17, 0x20000]
    # Not what would only end the child: pause, exit, kill of itself.
    skip = {15, 34, 60, 61, 231, 35, 230, 7, 23, 232, 270, 271, 281, 202, 128, 130, 247, 62, 129, 200, 234, 297, 424}
    calls = [n for n in range(0, 472) if n not in skip]
    while time.monotonic() < until:
        number = rng.choice(calls)
        if rng.random() < 0.02:
            number |= rng.choice((0x40000000, 1 << 31, 1 << 32))
        args = [ctypes.c_ulong(rng.choice(words) if rng.random() < 0.8 else rng.getrandbits(64)) for _ in range(6)]
        signal.alarm(2)
        libc.syscall(ctypes.c_long(number), *args)

def main():
    rng = random.Random(SEED)
    libc = ctypes.CDLL(None)
    until = time.monotonic() + 8
    rounds = 0
    while time.monotonic() < until:
        seeds = [rng.random() for _ in range(4)]
        for seed in seeds:
            if os.fork() == 0:
                os.setsid()
                work(random.Random(seed), libc, until)
                os._exit(0)
        for _ in seeds:
            try:
                os.wait()
            except ChildProcessError:
                pass
        rounds += 1
    return rounds
'''
