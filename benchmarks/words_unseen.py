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
    shown = {
        "log loss lower": lambda found: f"{100 * found['log loss lower']:.0f}%",
        "median change": lambda found: f"{100 * found['median change of log loss']:+.1f} %",
        "mean gain of AUC": lambda found: f"{found['mean gain of AUC']:+.3f}",
        "more than .015 AUC below": lambda found: f"{100 * found['more than .015 AUC below']:.0f}%",
    }
    return _against_rivals("classes", shown)


def unseen_numbers() -> str:
    """Numeric targets: the defaults against the frozen model, a forest and CatBoost."""
    shown = {
        "RMSE lower": lambda found: f"{100 * found['RMSE lower']:.0f}%",
        "median change": lambda found: f"{100 * found['median change of RMSE']:+.1f} %",
        "more than 5% above": lambda found: f"{100 * found['more than 5% above']:.0f}%",
    }
    return _against_rivals("numbers", shown)


def _against_rivals(kind: str, shown: dict[str, Callable[[dict[str, float]], str]]) -> str:
    """A line for each rival, with what is `shown` of the comparison, by the name of its column."""
    own = stored("unseen")["summary"][kind]
    rows = [
        [label, f"{own[rival]['targets']}", *(show(own[rival]) for show in shown.values())]
        for rival, label in _RIVALS.items()
    ]
    return markdown(["testtime against", "targets", *shown], rows)


BLOCKS: dict[str, Callable[[], str]] = {"linear": linear, "unseen": unseen, "unseen_numbers": unseen_numbers}
