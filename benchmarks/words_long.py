"""What pages show of tables of more than a thousand rows: ``python -m benchmarks.long_context``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.stored import markdown, stored

_NAMES = {
    "default": "**testtime**, up to 4,096 rows as context",
    "default, frozen": "the same, frozen",
    "first 1,024": "testtime, 1,024 rows as context",
    "first 1,024, frozen": "the same, frozen",
    "CatBoost": "CatBoost",
    "random forest": "random forest",
}


def _table(summary: dict[str, Any], loss: str, score: str, titles: tuple[str, str]) -> str:
    rows = []
    for method, label in _NAMES.items():
        if method not in summary:
            continue
        own = summary[method]
        compared = method != "default" and loss in own
        change = f"{100 * own['median change']:+.1f} %" if compared else ""
        lower = f"{100 * own['lower on']:.0f}%" if compared else ""
        rows.append([label, f"{own[loss]:.4f}" if loss in own else "", f"{own[score]:.4f}", change, lower])
    header = ["", *titles, "testtime's loss against it (median)", "lower on"]
    return markdown(header, rows)


def _sentence(found: dict[str, Any]) -> str:
    summary, first = found["summary"], found["summary"]["first 1,024"]
    rows = sorted(cell["default"]["rows"] for cell in found["cells"])
    spent = [summary[f"{part} processor seconds"] for part in ("default", "first")]
    draws = (
        f"{summary['tables']} tables, {summary['draws']} draws of {rows[0]:,} to {rows[-1]:,} training rows."
    )
    against = f"{100 * first['change']:+.1f} % on the mean, {100 * first['worst']:+.1f} % in the worst case"
    return (
        f"{draws} Against a context of 1,024 rows: {against}. A fit took {spent[0]:.0f} processor seconds (median), "
        f"{spent[1]:.0f} with 1,024 rows.\n"
    )


def long_context() -> str:
    """Classes: all rows as context against the first 1,024, and trees."""
    found = stored("long_context")
    return _table(found["summary"], "log_loss", "auc", ("log loss", "AUC")) + "\n" + _sentence(found)


def long_context_numbers() -> str:
    """Numeric targets: all rows as context against the first 1,024."""
    found = stored("long_context-numbers")
    return _table(found["summary"], "crps", "rmse", ("CRPS", "RMSE")) + "\n" + _sentence(found)


BLOCKS: dict[str, Callable[[], str]] = {
    "long-context": long_context,
    "long-context-numbers": long_context_numbers,
}
