# tries: a zip bomb
# protection: the memory limit
# inside: memory_limit | exception
# outside: next at once
# limits: tight
import zlib


def main():
    bomb = b"\0" * (50 << 20)
    packed = zlib.compress(zlib.compress(bomb, 9), 9)
    out = []
    while True:
        out.append(zlib.decompress(zlib.decompress(packed)))
