// Scripts to begin with. Each runs as it is in the environment default.
import type { InputFile } from "./files";
import type { Options } from "./options";

export interface Example {
  title: string;
  script: string;
  options?: Partial<Options>;
  files?: readonly InputFile[];
}

const sales = `month,region,revenue
2026-01,north,120.5
2026-01,south,88.25
2026-02,north,131.75
2026-02,south,95.5
2026-03,north,129
2026-03,south,101.5
`;

function text(path: string, content: string): InputFile {
  return { path, bytes: new TextEncoder().encode(content), ofExample: true };
}

const numbers = `"""What main() returns is the result; what it prints is the output."""

import math


def main():
    primes = []
    for n in range(2, 60):
        if all(n % d for d in range(2, math.isqrt(n) + 1)):
            primes.append(n)
    print("found", len(primes), "primes")
    gaps = [b - a for a, b in zip(primes, primes[1:])]
    return {"primes": primes, "sum": sum(primes), "widest gap": max(gaps)}
`;

const table = `"""A table of pandas as the result."""

import numpy as np
import pandas as pd


def main():
    rng = np.random.default_rng(7)
    orders = pd.DataFrame(
        {
            "city": rng.choice(["Bergen", "Lagos", "Lima", "Osaka"], 200),
            "items": rng.integers(1, 9, 200),
            "price": rng.gamma(3, 12, 200).round(2),
        }
    )
    orders["total"] = orders["items"] * orders["price"]
    table = orders.groupby("city").agg(
        orders=("items", "size"),
        items=("items", "sum"),
        revenue=("total", "sum"),
    )
    return table.round(2)
`;

const figure = `"""A figure that is open at the end comes back as a picture."""

import matplotlib.pyplot as plt
import numpy as np


def main():
    t = np.linspace(0, 4 * np.pi, 600)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
    for d in (0.05, 0.15, 0.4):
        left.plot(t, np.exp(-d * t) * np.cos(2 * t), label=f"damping {d}")
    left.set(title="Damped oscillation", xlabel="t")
    left.legend(loc="lower right")
    points = np.random.default_rng(3).normal(size=(2, 400))
    distance = np.hypot(*points)
    right.scatter(*points, c=distance, s=14, cmap="viridis")
    right.set(title="400 points", aspect="equal")
    fig.tight_layout()
    return {"lines": 3, "points": 400, "farthest": round(distance.max(), 3)}
`;

const live = `"""Output arrives while the script runs. Esc cancels it."""

import sys
import time


def main():
    began = time.monotonic()
    for step in range(1, 9):
        time.sleep(0.4)
        print(f"step {step} of 8")
        if step % 3 == 0:
            print(f"{step} steps are done", file=sys.stderr)
    return {"steps": 8, "seconds": round(time.monotonic() - began, 1)}
`;

const filesExample = `"""Reads sales.csv; what it leaves in outputs/ comes back."""

import json

import pandas as pd


def main():
    sales = pd.read_csv("sales.csv")
    totals = sales.pivot(index="month", columns="region", values="revenue")
    totals.to_csv("outputs/totals.csv")
    with open("outputs/summary.json", "w") as file:
        json.dump({"revenue": sales["revenue"].sum()}, file)
    return totals
`;

const cell = `# A notebook's cell: display() and the last expression are shown.
import pandas as pd
import matplotlib.pyplot as plt

planets = pd.DataFrame(
    {
        "planet": ["Mercury", "Venus", "Earth", "Mars"],
        "moons": [0, 0, 1, 2],
        "au": [0.39, 0.72, 1.0, 1.52],
    }
)
display(planets)

planets.plot.bar(x="planet", y="au", legend=False, rot=0, figsize=(6, 3))
plt.ylabel("astronomical units from the sun")
plt.tight_layout()
plt.show()

planets.loc[planets["moons"] > 0, "planet"].tolist()
`;

const words = `"""A plain script: sys.argv, standard input, an exit code."""

import collections
import re
import sys

if len(sys.argv) < 2:
    sys.exit("usage: script.py HOW_MANY")
words = re.findall(r"\\w+", sys.stdin.read().lower())
common = collections.Counter(words).most_common(int(sys.argv[1]))
for word, count in common:
    print(f"{count:3}  {word}")
`;

const failure = `"""An error shows its traceback, and marks the line."""


def mean(values):
    return sum(values) / len(values)


def main():
    print("mean of three:", mean([3, 5, 10]))
    print("mean of none:", mean([]))
`;

/** The examples. The first is what a new user sees. */
export const examples: readonly Example[] = [
  { title: "Numbers and a result", script: numbers },
  { title: "A table of pandas", script: table },
  { title: "A figure of matplotlib", script: figure },
  { title: "Live output", script: live },
  { title: "Files in and out", script: filesExample, files: [text("sales.csv", sales)] },
  { title: "A cell with displays", script: cell, options: { entry: "cell" } },
  {
    title: "A script with arguments and input",
    script: words,
    options: { entry: "script", argv: "3", stdin: "the more the merrier\nthe sooner the better\n" },
  },
  { title: "An error", script: failure },
];
