#!/usr/bin/env python3
"""Attack a running service with generated scripts, and look how it bears them.

    python3 test/escape/fuzz/fuzz.py --url http://127.0.0.1:8080 --minutes 30 calls
    python3 test/escape/fuzz/fuzz.py --minutes 30 programs     # needs hypothesmith

After each script a harmless one must give its answer. A reply of 5xx, no reply
in time, or a harmless script that fails is a find: the script is printed, and
belongs into test/escape/attempts.
"""

import argparse
import collections
import json
import random
import time
import urllib.error
import urllib.request

from random_calls import SCRIPT


def execute(url: str, script: str) -> tuple[int, dict]:
    """Send a script; return the status and the response."""
    request = urllib.request.Request(
        url + "/execute",
        json.dumps({"script": script}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def programs(rng: random.Random):
    """Generate Python programs from Python's grammar."""
    import hypothesis
    import hypothesmith

    examples: list[str] = []

    @hypothesis.settings(max_examples=200, deadline=None, database=None)
    @hypothesis.seed(rng.getrandbits(32))
    @hypothesis.given(hypothesmith.from_grammar())
    def collect(text: str) -> None:
        examples.append(text)

    while True:
        collect()
        for text in examples:
            body = "\n".join("    " + line for line in text.splitlines())
            yield rng.choice((text, f"{text}\ndef main():\n    return 1\n", f"def main():\n    pass\n{body}\n"))[:50000]
        examples.clear()


def calls(rng: random.Random):
    """Generate scripts that make random system calls."""
    while True:
        yield SCRIPT.replace("SEED", str(rng.getrandbits(32)))


def main() -> int:
    """Run until the time is over; return 1 if there was a find."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("calls", "programs"))
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.getrandbits(32))
    options = parser.parse_args()
    print("seed", options.seed)
    scripts = {"calls": calls, "programs": programs}[options.what](random.Random(options.seed))
    until, seen, finds = time.monotonic() + 60 * options.minutes, collections.Counter(), 0
    while time.monotonic() < until:
        script = next(scripts)
        try:
            status, answer = execute(options.url, script)
            after = execute(options.url, "def main():\n    return 1\n")
        except (OSError, ValueError) as error:
            status, answer, after = 0, {"code": repr(error)}, (0, {})
        seen[f"{status} {answer.get('code', 'succeeded')} {answer.get('signal', '')}"] += 1
        if status == 0 or status >= 500 or after[1].get("result") != 1:
            finds += 1
            print("FIND", status, answer, after, script, sep="\n")
    for name, count in seen.most_common():
        print(f"{count:6} {name}")
    return 1 if finds else 0


if __name__ == "__main__":
    raise SystemExit(main())
