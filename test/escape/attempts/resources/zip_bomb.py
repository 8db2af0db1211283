# tries: a zip bomb
# protection: the memory limit
# inside: memory_limit | exception
# outside: next at once
# limits: tight
import zlib


def main():
    # Small enough to reach the memory limit long before the CPU limit.
    packed = zlib.compress(zlib.compress(b"\0" * (16 << 20), 1))
    out = []
    while True:
        out.append(zlib.decompress(zlib.decompress(packed)))
