"""What pages show of tables of a third source: ``python -m benchmarks.linear`` and ``python -m benchmarks.unseen``."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean, median
from typing import Any

from benchmarks.stored import markdown, stored

_RIVALS = {"frozen": "the same model frozen", "random forest": "random forest", "CatBoost": "CatBoost"}


def linear() -> str:
    """Numeric targets with and without a ridge regression before the model, beside a forest and CatBoost."""
    names = (("linear", "development"), ("linear_reported", "reported"))
    columns = [_column([one for one in stored(name) if "error" not in one]) for name, _ in names]
    rows = [[row, *(column[row] for column in columns)] for row in columns[0]]
    return markdown(["", *(label for _, label in names)], rows)


def _column(draws: list[dict[str, Any]]) -> dict[str, str]:
    taken = [one for one in draws if one["taken"]]
    changes = {
        score: [one["chosen"][score] / one["without"][score] - 1 for one in taken]
        for score in ("crps", "rmse")
    }

    def below(rival: str, of: list[dict[str, Any]]) -> str:
        shares = [mean(one[way]["rmse"] < one[rival]["rmse"] for one in of) for way in ("without", "chosen")]
        return ", ".join(f"{100 * share:.0f}%" for share in shares)

    def change(score: str) -> str:
        return f"{100 * median(changes[score]):+.0f} % ({100 * max(changes[score]):+.0f} %)"

    return {
        "numeric targets": f"{len(draws)}",
        "from which a linear part is taken": f"{len(taken)}",
        "of these: change of CRPS, median (worst)": change("crps"),
        "change of RMSE, median (worst)": change("rmse"),
        "RMSE below the forest's, without and with": below("forest", taken),
        "RMSE below CatBoost's, without and with": below("CatBoost", taken),
        "of all targets: below the forest's": below("forest", draws),
        "below CatBoost's": below("CatBoost", draws),
    }


def unseen() -> str:
    """Classes: the defaults against the frozen model, a forest and CatBoost, with the targets that are not measured."""
    summary = stored("unseen")["summary"]
    own = summary["classes"]
    rows = []
    for rival, label in _RIVALS.items():
        found = own[rival]
        rows.append(
            [
                label,
                f"{found['targets']}",
                f"{100 * found['log loss lower']:.0f}%",
                f"{100 * found['median change of log loss']:+.1f} %",
                f"{found['mean gain of AUC']:+.3f}",
                f"{100 * found['more than .015 AUC below']:.0f}%",
            ]
        )
    header = [
        "testtime against",
        "targets",
        "log loss lower",
        "median change",
        "mean gain of AUC",
        "more than .015 AUC below",
    ]
    return markdown(header, rows)


def unseen_numbers() -> str:
    """Numeric targets: the defaults against the frozen model, a forest and CatBoost."""
    own = stored("unseen")["summary"]["numbers"]
    rows = []
    for rival, label in _RIVALS.items():
        found = own[rival]
        rows.append(
            [
                label,
                f"{found['targets']}",
                f"{100 * found['RMSE lower']:.0f}%",
                f"{100 * found['median change of RMSE']:+.1f} %",
                f"{100 * found['more than 5% above']:.0f}%",
            ]
        )
    return markdown(
        ["testtime against", "targets", "RMSE lower", "median change", "more than 5% above"], rows
    )


BLOCKS: dict[str, Callable[[], str]] = {"linear": linear, "unseen": unseen, "unseen_numbers": unseen_numbers}
