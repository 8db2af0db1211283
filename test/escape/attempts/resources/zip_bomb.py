# tries: a zip bomb
# protection: the memory limit
# inside: memory_limit | exception
# outside: next at once
# limits: tight
import zlib


def main():
    # Small enough to meet the memory limit long before the one of processor time.
    packed = zlib.compress(zlib.compress(b"\0" * (16 << 20), 1))
    out = []
    while True:
        out.append(zlib.decompress(zlib.decompress(packed)))
