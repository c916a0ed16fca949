"""Mean ranks of methods over tables, and by how much two of them must differ: Friedman's test and Nemenyi's distance.

J. Demšar (2006), *Statistical Comparisons of Classifiers over Multiple Data Sets*, JMLR 7, section 3.2.2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import friedmanchisquare, rankdata, studentized_range

__all__ = ["compare", "draw"]


def compare(scores: dict[str, list[float]], *, higher: bool) -> dict[str, Any]:
    """Rank methods on every table.

    Parameters
    ----------
    scores
        Of each method, one number a table, in the same order of tables.
    higher
        Whether more is better.
    """
    names = list(scores)
    values = np.array([scores[name] for name in names]).T
    ranks = rankdata(-values if higher else values, axis=1)
    n_tables, n_methods = values.shape
    q = float(studentized_range.ppf(0.95, n_methods, np.inf)) / np.sqrt(2)
    return {
        "mean ranks": {name: float(rank) for name, rank in zip(names, ranks.mean(0), strict=True)},
        "critical difference": q * float(np.sqrt(n_methods * (n_methods + 1) / (6.0 * n_tables))),
        "p of equal ranks": float(friedmanchisquare(*values.T).pvalue) if n_methods > 2 else None,
        "tables": n_tables,
    }


def draw(compared: dict[str, Any], path: Path, title: str) -> None:
    """Draw methods along their mean rank; a bar joins those that are closer than the critical difference."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names, ranks = zip(*sorted(compared["mean ranks"].items(), key=lambda item: item[1]), strict=True)
    distance = compared["critical difference"]
    figure, axes = plt.subplots(figsize=(7.0, 0.32 * len(names) + 1.2), layout="constrained")
    for level, (name, rank) in enumerate(zip(names, ranks, strict=True)):
        axes.plot(rank, -level, "o", color="black", markersize=5)
        axes.annotate(f"{name}  {rank:.2f}", (rank, -level), (8, 0), textcoords="offset points", va="center")
        last = max(i for i, other in enumerate(ranks) if other <= rank + distance)
        if last > level:
            axes.plot([rank, ranks[last]], [-level - 0.3] * 2, color="0.6", linewidth=2.5, zorder=0)
    axes.set(
        xlabel="mean rank (1 is best)",
        title=title,
        ylim=(-len(names) - 0.2, 0.8),
        xlim=(min(ranks) - 0.4, max(ranks) + 2.2),
    )
    axes.set_yticks([])
    axes.spines[["left", "top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
