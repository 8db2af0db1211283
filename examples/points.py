"""Make a CSV of points near a line."""

import csv
import random


def main(n: int = 50, slope: float = 2.0) -> int:
    """Write outputs/points.csv with n points."""
    dice = random.Random(7)
    with open("outputs/points.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["x", "y"])
        rows.writerows([x, round(slope * x + dice.gauss(0, 3), 3)] for x in range(n))
    return n
