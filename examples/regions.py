"""Draw the sales of each region."""

import pandas as pd
import seaborn as sns

sales = pd.read_csv("sales.csv")
sns.barplot(sales, x="region", y="revenue")
