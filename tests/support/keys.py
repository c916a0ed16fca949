"""Tables in which two columns name something together, and the target follows what they name."""

from __future__ import annotations

import numpy as np
import pandas as pd


def streets(
    n_rows: int = 900, n_values: int = 9, noise: float = 0.3, seed: int = 0
) -> tuple[pd.DataFrame, np.ndarray]:
    """A street and a number of a house, of which each pair has its own mean; neither says anything alone."""
    rng = np.random.default_rng(seed)
    effect = rng.normal(size=(n_values, n_values))
    effect -= effect.mean(axis=0) + effect.mean(axis=1)[:, None]
    street, house = rng.integers(0, n_values, (2, n_rows))
    frame = pd.DataFrame({"street": street, "house": 10 * house, "a": rng.normal(size=n_rows)})
    return frame, effect[street, house] / effect.std() + noise * rng.normal(size=n_rows)
