"""Arguments and uploaded data."""

import pandas as pd


def main(region, least=0):
    """Find a region's months with at least so much revenue."""
    sales = pd.read_csv("data/sales.csv")
    found = sales[(sales["region"] == region) & (sales["revenue"] >= least)]
    return {"months": found["month"].tolist(), "mean": found["revenue"].mean()}
