"""
Single-index test-time training
===============================

Labels that depend on one hidden direction of the inputs, through an unknown curve. ``SingleIndexRegressor`` finds the
direction (weak recovery by self-distillation, then strong recovery by gradient descent) and the curve (ridge), and is
compared with kernel ridge regression, which knows of no direction.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.kernel_ridge import KernelRidge

from testtime import SingleIndexRegressor

rng = np.random.default_rng(0)
direction = rng.normal(size=8)
direction /= np.linalg.norm(direction)


def true_link(z: np.ndarray) -> np.ndarray:
    """The third normalised Hermite polynomial."""
    return (z**3 - 3 * z) / np.sqrt(6)


X, X_test = rng.normal(size=(512, 8)), rng.normal(size=(2000, 8))
y = true_link(X @ direction) + rng.choice([-0.1, 0.1], 512)

model = SingleIndexRegressor(random_state=0).fit(X, y)
kernel = KernelRidge(kernel="poly", degree=4, alpha=1.0).fit(X, y)
truth = true_link(X_test @ direction)
print(f"overlap with the true direction: {abs(model.direction_ @ direction):.4f}")
for name, fitted in (("single index", model), ("kernel ridge", kernel)):
    print(f"{name}: mean squared error {np.mean((fitted.predict(X_test) - truth) ** 2):.4f}")

# %%
# Predictions along the direction that was found.

z = X_test @ model.direction_
order = np.argsort(z)
figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
axes.plot(X @ model.direction_, y, linestyle="", marker=".", color="lightgrey", label="512 training rows")
axes.plot(z, kernel.predict(X_test), linestyle="", marker=".", markersize=2, label="kernel ridge")
axes.plot(z[order], model.predict(X_test)[order], label="single index")
axes.set(xlabel="inputs along the direction found", ylabel="label", xlim=(-3, 3), ylim=(-4, 4))
axes.legend(frameon=False)
plt.show()
