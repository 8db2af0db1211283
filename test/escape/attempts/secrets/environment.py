# tries: to find the worker's settings in its own environment and in those of other processes
# protection: nsjail starts with an empty environment
# inside: []
import os, subprocess


def main():
    found = [k for k in os.environ if any(w in k for w in ("REDIS", "TOKEN", "SECRET", "CELLBLOCK", "API", "WORKER", "LIMIT"))]
    text = subprocess.run(["sh", "-c", "cat /proc/*/environ 2>/dev/null; env"], capture_output=True).stdout
    return found + [w for w in ("REDIS_URL", "the-worker" "-knows") if w.encode() in text]
