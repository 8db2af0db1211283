"""A cell of a notebook: the last expression is the result."""

import pandas as pd

sales = pd.read_csv("sales.csv")
sales.groupby("region")["revenue"].agg(["count", "sum"])
