"""From records to means, ranks, paired differences, and their Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from .metrics import CENTRAL, HIGHER_IS_BETTER

Means = dict[tuple[str, str, int], float]
"""(table, method, size) -> mean over seeds."""


@dataclass(frozen=True)
class Record:
    """One method, table, size and seed.

    Attributes
    ----------
    table : str
    n : int
        Training rows; of the adapted model, context rows that are served.
    seed : int
    method, block : str
        The method and what it was measured with.
    scores : dict of str to float
    seconds : float
        CPU time of fit and prediction.
    """

    table: str
    n: int
    seed: int
    method: str
    block: str
    scores: dict[str, float]
    seconds: float


def of_blocks(records: Sequence[Record], *blocks: str) -> list[Record]:
    """The records of some blocks."""
    return [record for record in records if record.block in blocks]


def sizes_of(records: Sequence[Record]) -> list[int]:
    """Sizes that occur, ascending."""
    return sorted({record.n for record in records})


def methods_of(records: Sequence[Record], measure: str | None = None) -> list[str]:
    """Methods that occur, in order; of a measure, those that have it."""
    return list(dict.fromkeys(r.method for r in records if measure is None or measure in r.scores))


def measures_of(records: Sequence[Record]) -> list[str]:
    """Measures that occur, in order."""
    return list(dict.fromkeys(name for record in records for name in record.scores))


def table_means(records: Sequence[Record], measure: str) -> Means:
    """Means over seeds."""
    values: dict[tuple[str, str, int], list[float]] = {}
    for r in records:
        if measure in r.scores:
            values.setdefault((r.table, r.method, r.n), []).append(r.scores[measure])
    return {key: float(np.mean(value)) for key, value in values.items()}


def mean_and_error(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean over tables, its standard error (none of a single table), number of tables."""
    error = float(np.std(values, ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "standard_error": error, "tables": len(values)}


def summary(records: Sequence[Record]) -> dict[str, dict[str, dict[int, dict[str, float | int | None]]]]:
    """Mean over tables of the mean over seeds: measure -> method -> size -> mean and standard error.

    A size counts the tables that have it; the same tables for every method.
    """
    out: dict[str, dict[str, dict[int, dict[str, float | int | None]]]] = {}
    for measure in measures_of(records):
        means = table_means(records, measure)
        rows = out[measure] = {}
        for method in methods_of(records, measure):
            by_size = {
                n: [v for (_, m, k), v in means.items() if (m, k) == (method, n)] for n in sizes_of(records)
            }
            rows[method] = {n: mean_and_error(values) for n, values in by_size.items() if values}
    return out


def markdown(title: str, columns: Sequence[object], rows: dict[str, Sequence[str]]) -> str:
    """A Markdown table: a title over the row names, one heading per column."""
    lines = [f"| {title} | " + " | ".join(map(str, columns)) + " |", "|---|" + "---|" * len(columns)]
    return "\n".join(lines + [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()])


def summary_table(records: Sequence[Record]) -> str:
    """The means as Markdown, a table per measure, best value of each column in bold."""
    sizes, blocks = sizes_of(records), []
    for measure, data in summary(records).items():
        shown = {m: {n: round(v["mean"] or 0.0, 3) for n, v in row.items()} for m, row in data.items()}
        top = {n: _best(measure, [row[n] for row in shown.values() if n in row]) for n in sizes}
        rows = {
            method: [_bold(row[n], row[n] == top[n]) if n in row else "" for n in sizes]
            for method, row in shown.items()
        }
        blocks.append(markdown(measure.replace("_", " "), [f"n={n}" for n in sizes], rows))
    return "\n\n".join(blocks)


def _best(measure: str, values: Sequence[float]) -> float:
    if measure == "coverage":
        return min(values, key=lambda value: abs(value - CENTRAL))
    return max(values) if measure in HIGHER_IS_BETTER else min(values)


def _bold(value: float, best: bool) -> str:
    return f"**{value:.3f}**" if best else f"{value:.3f}"


def per_table(records: Sequence[Record], n: int, measure: str) -> str:
    """One measure at one size, a row per table, a column per method, as Markdown."""
    methods, means = methods_of(records, measure), table_means(records, measure)
    tables = dict.fromkeys(table for table, _, size in means if size == n)
    rows = {t: [f"{means[t, m, n]:.3f}" if (t, m, n) in means else "" for m in methods] for t in tables}
    return markdown(f"{measure.replace('_', ' ')}, n={n}", methods, rows)


def paired(means: Means, method: str, other: str, n: int, measure: str) -> dict[str, float | int | None]:
    """Difference of two methods, table by table: mean, standard error, tables, and tables ``method`` wins."""
    tables = [t for t, m, size in means if (m, size) == (method, n) and (t, other, n) in means]
    gaps = [means[t, method, n] - means[t, other, n] for t in tables]
    if not gaps:
        return {"mean": None, "standard_error": None, "tables": 0, "won": 0}
    sign = 1 if measure in HIGHER_IS_BETTER else -1
    return mean_and_error(gaps) | {"won": sum(sign * gap > 0 for gap in gaps)}


def paired_text(gap: dict[str, float | int | None]) -> str:
    """A difference as ``mean ± standard error, won/tables``."""
    if not gap["tables"]:
        return ""
    error = "?" if gap["standard_error"] is None else f"{gap['standard_error']:.3f}"
    return f"{gap['mean']:+.3f} ± {error}, {gap['won']}/{gap['tables']}"


def paired_table(records: Sequence[Record], method: str, measure: str) -> str:
    """Difference to each other method as Markdown: mean, its standard error over tables, tables won."""
    means, sizes = table_means(records, measure), sizes_of(records)
    others = [other for other in methods_of(records, measure) if other != method]
    rows = {other: [paired_text(paired(means, method, other, n, measure)) for n in sizes] for other in others}
    return markdown(f"{measure.replace('_', ' ')}, {method} minus", [f"n={n}" for n in sizes], rows)


def mean_ranks(
    records: Sequence[Record], measure: str, methods: Sequence[str]
) -> dict[str, dict[int, float]]:
    """Mean rank over tables among some methods (1 is best, ties share): method -> size -> rank."""
    means = table_means(records, measure)
    sign = -1 if measure in HIGHER_IS_BETTER else 1
    out: dict[str, dict[int, float]] = {method: {} for method in methods}
    for n in sizes_of(records):
        tables = dict.fromkeys(t for t, m, size in means if size == n and m == methods[0])
        ranks = [rankdata([sign * means[t, m, n] for m in methods]) for t in tables]
        for method, rank in zip(methods, np.mean(ranks, axis=0), strict=True):
            out[method][n] = float(rank)
    return out


def rank_table(records: Sequence[Record], measure: str, methods: Sequence[str]) -> str:
    """The mean ranks as Markdown."""
    sizes = sizes_of(records)
    ranks = mean_ranks(records, measure, methods)
    rows = {method: [f"{row[n]:.2f}" for n in sizes] for method, row in ranks.items()}
    return markdown(f"mean rank of {measure.replace('_', ' ')}", [f"n={n}" for n in sizes], rows)
