"""What pages show of numbers that are codes: ``python -m benchmarks.codes``."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean, median
from typing import Any

from benchmarks.stored import markdown, stored


def codes() -> str:
    """Draws in which a column looks like a code: losses with and without, beside a forest."""
    groups = []
    for name, label in (("codes", "development"), ("codes_reported", "reported")):
        found: list[dict[str, Any]] = stored(name)
        for loss, kind in (("log_loss", "classes"), ("crps", "numbers")):
            groups.append((f"{label}, {kind}", loss, [one for one in found if loss in one["chosen"]]))
    columns = [_column(loss, draws) for _, loss, draws in groups]
    rows = [[row, *(column[row] for column in columns)] for row in columns[0]]
    return markdown(["", *(label for label, _, _ in groups)], rows)


def _column(loss: str, draws: list[dict[str, Any]]) -> dict[str, str]:
    score = "auc" if loss == "log_loss" else "rmse"
    taken = [one for one in draws if one["coded"]]
    changes = [one["chosen"][loss] / one["without"][loss] - 1 for one in taken]
    name = {"log_loss": "log loss", "crps": "CRPS", "auc": "AUC", "rmse": "RMSE"}

    def means(of: str, *ways: str) -> str:
        return ", ".join(f"{mean(one[way][of] for one in taken):.3f}" for way in ways)

    return {
        "draws with a column that looks like a code": f"{len(draws)}",
        "in which codes are read": f"{len(taken)}",
        "of these: loss without and with": f"{name[loss]} {means(loss, 'without', 'chosen')}",
        "change of the loss, median (worst)": f"{100 * median(changes):+.0f} % ({100 * max(changes):+.0f} %)",
        "lower on": f"{100 * mean(change < 0 for change in changes):.0f}%",
        "score without and with, forest": f"{name[score]} {means(score, 'without', 'chosen', 'forest')}",
    }


BLOCKS: dict[str, Callable[[], str]] = {"codes": codes}
