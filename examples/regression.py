"""Fit a line to noisy points."""

import numpy as np
from sklearn.linear_model import LinearRegression

rng = np.random.default_rng(1)
x = np.arange(100.0).reshape(-1, 1)
y = 3 * x[:, 0] + rng.normal(size=100)
model = LinearRegression().fit(x, y)
print(f"slope {model.coef_[0]:.2f}, R² {model.score(x, y):.4f}")
