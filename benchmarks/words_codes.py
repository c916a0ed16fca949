"""What pages show of codes and keys: ``python -m benchmarks.codes`` and ``python -m benchmarks.keys``."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean, median
from typing import Any

from benchmarks.stored import markdown, stored


def codes() -> str:
    """Draws in which a column looks like a code: losses with and without, beside a forest."""
    counted = "draws with a column that looks like a code", "in which codes are read"
    return _table("codes", "coded", counted)


def keys() -> str:
    """Targets of a third source: losses with and without keys where they are taken, beside a forest."""
    return _table("keys", "taken", ("targets", "in which keys are taken"))


def _table(name: str, taken: str, counted: tuple[str, str]) -> str:
    groups = []
    for result, label in ((name, "development"), (f"{name}_reported", "reported")):
        found: list[dict[str, Any]] = [one for one in stored(result) if "error" not in one]
        for loss, kind in (("log_loss", "classes"), ("crps", "numbers")):
            draws = [one for one in found if loss in one["chosen"]]
            numbers = dict(
                zip(counted, (f"{len(draws)}", f"{sum(bool(one[taken]) for one in draws)}"), strict=True)
            )
            groups.append((f"{label}, {kind}", numbers | _column(loss, [one for one in draws if one[taken]])))
    rows = [[row, *(column[row] for _, column in groups)] for row in groups[0][1]]
    return markdown(["", *(label for label, _ in groups)], rows)


def _column(loss: str, taken: list[dict[str, Any]]) -> dict[str, str]:
    score = "auc" if loss == "log_loss" else "rmse"
    changes = [one["chosen"][loss] / one["without"][loss] - 1 for one in taken]
    name = {"log_loss": "log loss", "crps": "CRPS", "auc": "AUC", "rmse": "RMSE"}

    def means(of: str, *ways: str) -> str:
        return ", ".join(f"{mean(one[way][of] for one in taken):.3f}" for way in ways)

    return {
        "of these: loss without and with": f"{name[loss]} {means(loss, 'without', 'chosen')}",
        "change of the loss, median (worst)": f"{100 * median(changes):+.0f} % ({100 * max(changes):+.0f} %)",
        "lower on": f"{100 * mean(change < 0 for change in changes):.0f}%",
        "score without and with, forest": f"{name[score]} {means(score, 'without', 'chosen', 'forest')}",
    }


def new_levels() -> str:
    """Rows of values that nobody has seen: as served, with the statistics of no level, without the column."""
    found = [one for one in stored("new_levels") if one["told"]]
    rows = []
    for loss, kind in (("log_loss", "classes, log loss"), ("crps", "numbers, CRPS")):
        of_kind = [one for one in found if loss in one["served"]]
        means = [f"{mean(one[way][loss] for one in of_kind):.3f}" for way in ("served", "kept", "without")]
        changes = [one["served"][loss] / one["kept"][loss] - 1 for one in of_kind]
        spread = f"{100 * median(changes):+.1f} % ({100 * min(changes):+.0f} to {100 * max(changes):+.0f} %)"
        lower = f"{sum(change < 0 for change in changes)} of {len(changes)}"
        rows.append([kind, *means, spread, lower])
    header = [
        "",
        "as served",
        "statistics kept",
        "without the column",
        "served against kept, median",
        "lower on",
    ]
    return markdown(header, rows)


BLOCKS: dict[str, Callable[[], str]] = {"codes": codes, "keys": keys, "new-levels": new_levels}
