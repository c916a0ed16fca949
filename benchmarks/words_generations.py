"""Numbers in words: newer generations of the embedded models against older ones, on the same draws."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean, median
from typing import Any

from benchmarks.stored import markdown, stored

Cells = list[dict[str, Any]]
_FAR_BELOW = 0.015


def _by_table(cells: Cells) -> dict[str, Cells]:
    found: dict[str, Cells] = {}
    for cell in cells:
        found.setdefault(cell["table"], []).append(cell)
    return found


def lowest(cells: Cells, trees: Cells) -> int:
    """On how many tables the default's log loss, mean over draws, is below that of every other learner."""
    others = _by_table(trees)
    return sum(
        mean(cell["default"]["served"]["log_loss"] for cell in own)
        < min(
            mean(cell["trees"][name]["log_loss"] for cell in others[table])
            for name in others[table][0]["trees"]
        )
        for table, own in _by_table(cells).items()
    )


def _far_below(cells: Cells, trees: Cells) -> str:
    """Tables on which the default's AUC is far below that of a random forest on the same rows."""
    others = _by_table(trees)
    found = {
        table: mean(cell["default"]["served"]["auc"] for cell in own)
        - mean(cell["trees"]["random forest"]["auc"] for cell in others[table])
        for table, own in _by_table(cells).items()
    }
    return ", ".join(f"{table} {gap:+.3f}" for table, gap in found.items() if gap < -_FAR_BELOW) or "none"


def _relative(
    new: Cells, old: Cells, kind: str, score: str = "log_loss", part: str = "default"
) -> dict[str, float]:
    """Relative change of a loss, mean over the draws of each table."""
    before = {(cell["table"], cell["seed"]): cell[part][kind][score] for cell in old}
    return {
        table: mean(cell[part][kind][score] / before[table, cell["seed"]] - 1.0 for cell in own)
        for table, own in _by_table(new).items()
    }


def _short(table: str) -> str:
    return table.rpartition(":")[2].rpartition("/")[2]


def _column(new: Cells, old: Cells) -> list[str]:
    served, frozen = (_relative(new, old, kind) for kind in ("served", "frozen"))
    order = sorted(served, key=lambda table: served[table])
    shown = [*order[:4], *order[-2:]]
    scores = [
        f"{mean(c['default']['served'][score] for c in cells):.4f}"
        for score in ("log_loss", "auc")
        for cells in (new, old)
    ]
    return [
        f"{len(served)}, {len(new)}",
        f"{sum(change < 0 for change in served.values())}",
        f"{mean(served.values()):+.1%}, {median(served.values()):+.1%}",
        ", ".join(f"{_short(table)} {served[table]:+.1%}" for table in shown),
        f"{sum(change < 0 for change in frozen.values())}; {mean(frozen.values()):+.1%}, "
        f"{median(frozen.values()):+.1%}",
        f"{scores[0]} ({scores[1]})",
        f"{scores[2]} ({scores[3]})",
    ]


def generations() -> str:
    """The second generation adapted with the defaults on 1,000 rows, against the first on the same draws."""
    pairs = {
        name: (stored(name)["cells"], stored(f"{name}-embedded-1")["cells"])
        for name in ("development", "tabular")
    }
    names = [
        "tables, draws",
        "tables with a lower log loss",
        "change of the log loss: mean, median over tables",
        "the most and the least",
        "frozen: tables with a lower log loss; mean, median",
        "log loss (first generation)",
        "AUC (first generation)",
    ]
    rows = [list(row) for row in zip(names, *(_column(*pair) for pair in pairs.values()), strict=True)]
    new, old = pairs["tabular"]
    said = (
        f"\nOn the reported tables the log loss is the lowest of all learners on {lowest(new, new)} "
        f"(first generation: {lowest(old, new)}); an AUC more than {_FAR_BELOW} below the random forest's is on "
        f"{_far_below(new, new)} (first generation: {_far_below(old, new)}).\n"
    )
    return markdown(["", "development", "reported"], rows) + said


def regressors() -> str:
    """The third generation of the regressor adapted with the defaults on 1,000 rows, against the second."""
    new, old = (stored(name)["cells"] for name in ("numbers", "numbers-embedded-2"))
    rows = []
    for kind in ("served", "frozen"):
        for score in ("crps", "rmse"):
            changes = _relative(new, old, kind, score, "numbers")
            order = sorted(changes, key=lambda table: changes[table])
            means = (mean(cell["numbers"][kind][score] for cell in cells) for cells in (new, old))
            rows.append(
                [
                    f"{score.upper()}, {kind}",
                    "{:.4f} ({:.4f})".format(*means),
                    f"{sum(change < 0 for change in changes.values())} of {len(changes)}",
                    f"{mean(changes.values()):+.1%}, {median(changes.values()):+.1%}",
                    ", ".join(
                        f"{_short(table)} {changes[table]:+.1%}" for table in (*order[:2], *order[-2:])
                    ),
                ]
            )
    inside = (mean(cell["numbers"]["served"]["coverage of 80%"] for cell in cells) for cells in (new, old))
    said = "\nThe 80% interval holds {:.1%} (second generation: {:.1%}).\n".format(*inside)
    header = ["", "mean (second generation)", "lower on", "change: mean, median", "the most and the least"]
    return markdown(header, rows) + said


BLOCKS: dict[str, Callable[[], str]] = {"generations": generations, "regressors": regressors}
