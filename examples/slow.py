"""Prints while it runs: something to watch."""

import time


def main(steps=6, pause=0.5):
    """Say each step as it is done; give how long all took."""
    began = time.monotonic()
    for step in range(1, steps + 1):
        time.sleep(pause)
        print(f"step {step} of {steps}")
    return {"steps": steps, "seconds": round(time.monotonic() - began, 1)}
