"""Scripts that the tests submit."""

HELLO = "def main(n=7):\n    print('hello')\n    return n * n\n"

SLOW = """
import time
def main(seconds=30.0):
    print('begun', flush=True)
    time.sleep(seconds)
    return 'slept'
"""

ECHO_INPUTS = """
import os, pathlib, sys
def main(paths=(), **args):
    return {
        "args": args,
        "stdin": sys.stdin.read(),
        "mode": os.environ.get("MODE"),
        "files": {path: pathlib.Path(path).read_bytes().hex() for path in paths},
    }
"""

SUMS = """
import hashlib, pathlib
def main(paths):
    return [hashlib.sha256(pathlib.Path(p).read_bytes()).hexdigest() for p in paths]
"""

WRITES_FILES = """
import os
def main():
    os.makedirs('outputs/a')
    open('outputs/a/ü b.csv', 'w').write('x,y\\n')
    open('outputs/large', 'wb').write(bytes(300_000))
"""

FAILING = "def main():\n    print('before')\n    return 1 / 0\n"
