"""Tables whose numbers name shops, and the target follows the shop."""

from __future__ import annotations

import numpy as np
import pandas as pd


def shops(
    n_rows: int = 800, n_shops: int = 60, noise: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of shops, and a target that has another mean in each of them."""
    rng = np.random.default_rng(seed)
    shop = rng.integers(0, n_shops, n_rows)
    effect = rng.normal(size=n_shops)
    return 100.0 + 10 * shop, effect[shop] + noise * rng.normal(size=n_rows)


def table(n_rows: int = 400, **given: float) -> tuple[pd.DataFrame, np.ndarray]:
    """Shops beside a column of noise; the class follows the shop."""
    shop, y = shops(n_rows, **given)
    a = np.random.default_rng(1).normal(size=n_rows)
    return pd.DataFrame({"shop": shop.astype(int), "a": a}), np.where(y > 0, "yes", "no")
