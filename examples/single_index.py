"""Recover a hidden direction and its link, and compare with kernel ridge regression.

python examples/single_index.py
"""

import numpy as np
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
