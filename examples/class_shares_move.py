"""
Class shares move: correct the probabilities
============================================

Half of the training rows are positive, one in twenty is where the model is used. Its probabilities are then far too
high. The new rows tell their own shares, without labels, and the probabilities follow.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from testtime import TTTClassifier
from testtime.estimators.label_shift import LabelShiftClassifier

rng = np.random.default_rng(0)


def rows(n, share):
    """Two columns, shifted where the label is 1."""
    y = (rng.random(n) < share).astype(int)
    return rng.normal(size=(n, 2)) + 1.2 * y[:, None], y


X, y = rows(300, 0.5)
new, labels = rows(400, 0.05)

fitted = TTTClassifier(n_members=1, n_steps=3, random_state=0).fit(X, y)
model = LabelShiftClassifier(FrozenEstimator(fitted)).fit(X, y).adapt(new)
print(f"share of class 1: {model.shares_[1]:.2f} in training, {model.new_shares_[1]:.2f} estimated for the new rows, "
      f"{labels.mean():.2f} true")  # fmt: skip

# %%
# The corrected probabilities are lower, and say more nearly how many rows are positive. The estimate is as good as the
# classifier is calibrated.

before, after = fitted.predict_proba(new)[:, 1], model.predict_proba(new)[:, 1]
for name, probability in (("as fitted", before), ("corrected", after)):
    print(f"{name}: log loss {log_loss(labels, probability):.3f}, {probability.sum():.0f} positive rows expected, "
          f"{labels.sum()} there")  # fmt: skip
figure, axes = plt.subplots(figsize=(5, 4.5), layout="constrained")
axes.plot(before, after, linestyle="", marker=".")
axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
axes.set(xlabel="probability of class 1, as fitted", ylabel="corrected")
plt.show()
