"""Prints while it runs: something to watch."""

import time


def main(steps=6, pause=0.5):
    """Print each step when it is done; return how long all of them took."""
    began = time.monotonic()
    for step in range(1, steps + 1):
        time.sleep(pause)
        print(f"step {step} of {steps}")
    return {"steps": steps, "seconds": round(time.monotonic() - began, 1)}
