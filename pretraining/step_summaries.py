"""What steps gain: the share that few steps keep of many, two weights side by side, the adapted model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .adapting import ADAPTED
from .metrics import HIGHER_IS_BETTER
from .summaries import (
    Means,
    Record,
    markdown,
    mean_and_error,
    of_blocks,
    paired,
    paired_text,
    sizes_of,
    table_means,
)


def gain_share(few: Sequence[float], many: Sequence[float]) -> tuple[float, float]:
    """Mean gain of few steps over the mean gain of many, and its jackknife standard error over tables.

    A ratio of means, since one table may gain nothing; NaN where many steps gain nothing on average.

    >>> share, error = gain_share([1.0, 1.0], [2.0, 2.0])
    >>> share, error
    (0.5, 0.0)
    """
    few, many = np.asarray(few, dtype=float), np.asarray(many, dtype=float)
    n = len(few)
    if many.sum() <= 0:
        return float("nan"), float("nan")
    share = float(few.sum() / many.sum())
    if n < 2:
        return share, float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):  # one table may hold all the gain
        left_out = (few.sum() - few) / (many.sum() - many)
        return share, float(np.sqrt((n - 1) / n * np.square(left_out - left_out.mean()).sum()))


def share_text(share: float, error: float) -> str:
    """A share and its standard error in percent; of many steps that gain nothing there is no share."""
    if not np.isfinite(share):
        return "?"
    return f"{100 * share:.0f}% ± " + (f"{100 * error:.0f}%" if np.isfinite(error) else "?")


def step_gains(records: Sequence[Record], measure: str) -> dict[int, list[float]]:
    """Gain over 0 steps per table, positive where better: steps -> gains, the same tables in the same order."""
    means = table_means(of_blocks(records, "steps"), measure)
    sign = 1 if measure in HIGHER_IS_BETTER else -1
    counts = sorted({int(method.split()[0]) for _, method, _ in means})
    keys = dict.fromkeys((table, n) for table, _, n in means)
    return {k: [sign * (means[t, f"{k} steps", n] - means[t, "0 steps", n]) for t, n in keys] for k in counts}


def steps_table(records: Sequence[Record], measures: Sequence[str]) -> str:
    """Mean and gain after each number of steps, and the share of the gain of the most steps, as Markdown."""
    own = of_blocks(records, "steps")
    rows: dict[str, list[str]] = {}
    for measure in measures:
        means, gains = table_means(own, measure), step_gains(records, measure)
        for k, gain in gains.items():
            level = np.mean([value for (_, method, _), value in means.items() if method == f"{k} steps"])
            stats = mean_and_error(gain)
            error = "?" if stats["standard_error"] is None else f"{stats['standard_error']:.4f}"
            gained = "" if k == 0 else f"{stats['mean']:+.4f} ± {error}"
            kept = "" if k in (0, max(gains)) else share_text(*gain_share(gain, gains[max(gains)]))
            rows.setdefault(f"{k} steps", []).extend([f"{level:.4f}", gained, kept])
    columns = [f"{m.replace('_', ' ')}{c}" for m in measures for c in ("", ", gain", ", share of the gain")]
    return markdown("128 context rows", columns, rows)


def adapted_table(records: Sequence[Record], measures: Sequence[str]) -> str:
    """The adapted model, which has seen all training rows, beside plain and the forest with n and with all rows."""
    served = sizes_of(of_blocks(records, "adapted"))
    blocks = []
    for measure in measures:
        means = table_means(of_blocks(records, "model", "baselines", "adapted"), measure)
        every = _with_all_rows(means, served)
        tables = list(dict.fromkeys(t for t, m, _ in every if m == ADAPTED))
        rows = {}
        for method in (
            "model",
            ADAPTED,
            "model, all rows",
            "model, 4 orders, all rows",
            "random forest, all rows",
        ):
            if any(m == method for _, m, _ in every):
                name = {"model": "model, n rows", ADAPTED: "adapted on all rows, serving n"}.get(
                    method, method
                )
                rows[name] = [_mean(every, tables, method, n) for n in served]
        for other in ("model", "model, all rows", "random forest, all rows"):
            cells = [paired_text(paired(every, ADAPTED, other, n, measure)) for n in served]
            rows[f"adapted minus {'model, n rows' if other == 'model' else other}"] = cells
        blocks.append(markdown(measure.replace("_", " "), [f"n={n}" for n in served], rows))
    return "\n\n".join(blocks)


def _with_all_rows(means: Means, served: Sequence[int]) -> Means:
    """The means, with those at a table's largest size repeated at every served size under another name."""
    out = {key: value for key, value in means.items() if key[2] in served}
    largest: dict[str, int] = {}
    for table, method, n in means:
        if method != ADAPTED:
            largest[table] = max(n, largest.get(table, 0))
    for (table, method, n), value in means.items():
        if n == largest.get(table) and method != ADAPTED:
            out |= {(table, f"{method}, all rows", k): value for k in served}
    return out


def _mean(means: Means, tables: Sequence[str], method: str, n: int) -> str:
    values = [means[t, method, n] for t in tables if (t, method, n) in means]
    return f"{np.mean(values):.3f}" if values else ""


def comparison_table(first: Sequence[Record], second: Sequence[Record], measures: Sequence[str]) -> str:
    """Two weights after each number of steps: both means, and the paired difference over tables, as Markdown."""
    rows: dict[str, list[str]] = {}
    for measure in measures:
        a, b = (table_means(of_blocks(records, "steps"), measure) for records in (first, second))
        both = {(t, f"A {m}", n): v for (t, m, n), v in a.items()}
        both |= {(t, f"B {m}", n): v for (t, m, n), v in b.items()}
        for method in dict.fromkeys(m for _, m, _ in a):
            sides = [
                f"{np.mean([v for (_, m, _), v in means.items() if m == method]):.4f}" for means in (a, b)
            ]
            sizes = {n for _, m, n in a if m == method}
            gaps = [paired(both, f"B {method}", f"A {method}", n, measure) for n in sizes]
            rows.setdefault(method, []).extend([*sides, *map(paired_text, gaps)])
    columns = [f"{m.replace('_', ' ')}, {c}" for m in measures for c in ("A", "B", "B minus A")]
    return markdown("128 context rows", columns, rows)
