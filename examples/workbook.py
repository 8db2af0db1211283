"""Read a workbook, and store a table that is made from it as Parquet."""

import pandas as pd


def main():
    """Return the value of the stock."""
    stock = pd.read_excel("stock.xlsx")
    stock["value"] = stock["quantity"] * stock["price"]
    stock.to_parquet("outputs/stock.parquet")
    return pd.read_parquet("outputs/stock.parquet")["value"].sum()
