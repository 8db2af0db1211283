"""Make a CSV of points near a line."""

import csv
import math


def main(n: int = 50, slope: float = 2.0) -> int:
    """Write outputs/points.csv with n points."""
    with open("outputs/points.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["x", "y"])
        rows.writerows([x, round(slope * x + 3 * math.sin(7 * x), 3)] for x in range(n))
    return n
