#!/usr/bin/env python3
"""Compare what scripts make the kernel allocate with what their jobs are charged.

    make kernel-memory                      # starts a service of its own
    python3 test/kernelmemory/measure.py --url http://127.0.0.1:8080 [NAME...]

It runs a script for each of the kernel's allocators that a script can reach,
and prints a line of the table in docs/kernel-memory.md for each: how many
objects the script got, by how much the kernel's memory grew on the whole
machine, and by how much the job's own count did. It needs root (/proc/slabinfo),
a service on the same machine, and a machine that does little else.
"""

import argparse
import collections
import json
import pathlib
import threading
import time
import urllib.error
import urllib.request

from allocators import ALLOCATORS, PRELUDE

# Memory of the kernel that is in none of its caches of objects, in /proc/meminfo (proc_meminfo(5)).
OTHERS = ("KernelStack", "PageTables", "Percpu")
# A script holds what it has allocated for so many seconds.
HOLD = 2.0
# The memory is looked at at this interval, in seconds, and counts as it was so many looks before the end.
INTERVAL, BEFORE_THE_END = 0.25, 3


def kernel_bytes() -> dict[str, int]:
    """Return the bytes of each cache of the kernel's objects (slabinfo(5)), and of OTHERS."""
    sizes = {}
    for line in pathlib.Path("/proc/slabinfo").read_text(encoding="ascii").splitlines()[2:]:
        fields = line.split()
        sizes[fields[0]] = int(fields[1]) * int(fields[3])
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, value = line.split(":")
        if name in OTHERS:
            sizes[name] = int(value.split()[0]) * 1024
    return sizes


def execute(url: str, script: str) -> dict:
    """Run a script; return the response, whatever its status."""
    body = json.dumps({"script": script}).encode()
    request = urllib.request.Request(url + "/execute", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        return json.loads(error.read())


class Watch(threading.Thread):
    """Look at the kernel's memory until stopped."""

    def __init__(self) -> None:
        """Take the first look."""
        super().__init__()
        self.done = threading.Event()
        self.looks = collections.deque([kernel_bytes()], BEFORE_THE_END)
        self.before = self.looks[0]

    def run(self) -> None:
        """Look at intervals."""
        while not self.done.wait(INTERVAL):
            self.looks.append(kernel_bytes())

    def finish(self) -> dict[str, int]:
        """Return the growth of each cache in bytes."""
        self.done.set()
        self.join()
        return {name: size - self.before.get(name, 0) for name, size in self.looks[0].items()}


def megabytes(number: float) -> str:
    """Return a number of bytes in megabytes."""
    return f"{number / 1e6:.1f}"


def run_once(url: str, name: str) -> tuple[dict[str, int], int, object]:
    """Run one allocator; return the growth of each cache, the job's peak, and its result."""
    watch = Watch()
    watch.start()
    answer = execute(url, PRELUDE.replace("HOLD", str(HOLD)) + ALLOCATORS[name])
    growth = watch.finish()
    peak = answer.get("usage", {}).get("memory_peak_bytes") or 0
    result = answer.get("result", answer.get("code"))
    if answer.get("code") == "exception":
        result = "refused: " + answer.get("error", "").split(":")[0]
    return growth, peak, result


def measure(url: str, name: str, times: int) -> tuple[dict[str, int], int, object]:
    """Run one allocator several times; return the least growth of each cache, and the least peak.

    What other programs allocate meanwhile seldom grows the same cache each time.
    """
    runs = []
    while len(runs) < times:
        runs.append(run_once(url, name))
        if str(runs[0][2]).startswith("refused"):
            break
        time.sleep(1)  # what the job used is freed by then
    growth = {cache: min(run[0].get(cache, 0) for run in runs) for cache in runs[0][0]}
    return {c: n for c, n in growth.items() if n > 0}, min(run[1] for run in runs), runs[-1][2]


def main() -> None:
    """Measure all allocators, or those named."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--url", default="http://127.0.0.1:8080")
    options.add_argument("--times", type=int, default=3)
    options.add_argument("names", nargs="*")
    given = options.parse_args()
    print("| allocator | objects | the kernel's memory, MB | the job's count, MB | largest parts, MB |")
    print("|---|---|---|---|---|")
    base = measure(given.url, "nothing", given.times)[1]
    for name in given.names or ALLOCATORS:
        growth, peak, result = measure(given.url, name, given.times)
        largest = sorted(growth, key=lambda cache: -growth[cache])[:3]
        parts = ", ".join(f"{cache} {megabytes(growth[cache])}" for cache in largest if growth[cache] > 1 << 18)
        total, count = megabytes(sum(growth.values())), megabytes(max(peak - base, 0))
        print(f"| {name} | {result} | {total} | {count} | {parts} |", flush=True)


if __name__ == "__main__":
    main()
