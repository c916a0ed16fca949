"""
Regression with intervals
=========================

``TTTRegressor`` predicts the distribution of a number, as percentiles from 1 to 99. ``predict`` is its mean,
``predict_quantiles`` gives any level between. An interval should hold as many targets as it says: this is counted on
rows that were not used.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from testtime import TTTRegressor

X, y = load_diabetes(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, train_size=300, random_state=0)

model = TTTRegressor(n_members=2, n_steps=5, random_state=0).fit(X, y)
print(model.adaptation_.explain())

low, middle, high = model.predict_quantiles(X_test, levels=(0.1, 0.5, 0.9)).T
inside = (low <= y_test) & (y_test <= high)
print(f"{inside.mean():.0%} of the targets are inside the 80% interval")
print(f"mean absolute error of the median: {np.abs(middle - y_test).mean():.1f}; of one constant: "
      f"{np.abs(np.median(y) - y_test).mean():.1f}")  # fmt: skip

# %%
# Intervals of the new rows, ordered by their median.

order = np.argsort(middle)
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
position = np.arange(len(order))
axes.vlines(position, low[order], high[order], color="lightgrey", label="80% interval")
axes.plot(position, middle[order], color="black", linewidth=1, label="median")
axes.plot(position, y_test[order], linestyle="", marker=".", label="what came")
axes.set(xlabel="rows, by predicted median", ylabel="disease progression")
axes.legend(frameon=False)
plt.show()
