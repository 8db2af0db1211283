"""A CSV in, a chart and totals out."""

import matplotlib.pyplot as plt
import pandas as pd


def main():
    """Draw a bar for each month and region; return the regions' totals."""
    sales = pd.read_csv("sales.csv")
    table = sales.pivot(index="month", columns="region", values="revenue")
    table.plot.bar(title="Revenue by region", rot=0)
    plt.ylabel("thousands")
    plt.ylim(0, 180)
    # The open figure comes back as figure-1.png.
    return table.sum()
