"""Fit a line to the points in points.csv."""

import json

import numpy as np


def main() -> dict[str, float]:
    """Return the line, and write it to outputs/line.json."""
    x, y = np.loadtxt("points.csv", delimiter=",", skiprows=1, unpack=True)
    slope, intercept = (round(float(each), 3) for each in np.polyfit(x, y, 1))
    line = {"slope": slope, "intercept": intercept}
    with open("outputs/line.json", "w") as file:
        json.dump(line, file)
    return line
