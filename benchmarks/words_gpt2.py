"""The tables of docs/experiments/gpt2.md, from what ``benchmarks.gpt2*`` and ``benchmarks.many_tasks`` stored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.stored import markdown, stored

LABELS = {
    "icl short": "in-context, 64 rows",
    "icl full": "in-context, all rows",
    "ttt": "test-time training",
    "guarded": "guarded",
    "icl": "in-context, n rows",
    "icl all": "in-context, all rows",
    "warm": "pretrained start",
    "cold": "random start",
    "ridge": "least squares",
    "random": "random episodes",
    "leave one out": "leave-one-out",
    "chunks": "chunk by chunk",
    "distillation": "self-distillation",
}
FIGURES = {
    "gpt2-links": {"link": "link", "n_rows": "N"},
    "gpt2-fixed-link": {"model": "model", "n_rows": "N"},
    "gpt2-dimension": {"d": "d", "n_rows": "N"},
    "gpt2-shift": {"alignment": "tasks", "k": "k"},
    "gpt2-variants": {"link": "link"},
}
NAMES = {
    "varying": "as in pretraining",
    "He2": "h2, never seen",
    "large c": "c = 1.5",
    "gpt2-links": "links vary",
    "gpt2-links-fixed": "one link",
}


def errors(figure: str, kind: str) -> str:
    """One line for each setting, one column for each method: mean ± one standard error, and the claims."""
    found = stored("gpt2")[figure][kind]
    by = FIGURES[figure]
    methods = list(dict.fromkeys(row["method"] for row in found["rows"]))
    cells: dict[tuple, dict[str, str]] = {}
    for row in sorted(found["rows"], key=lambda row: [row[key] for key in by]):
        text = f"{row['mean']:.2g} ± {row['se']:.1g}" if row["mean"] > 1e-9 else "0"
        cells.setdefault(tuple(row[key] for key in by), {})[row["method"]] = text
    rows = [
        [*(NAMES.get(part, str(part)) for part in key), *(texts.get(method, "") for method in methods)]
        for key, texts in cells.items()
    ]
    failed = [claim for claim in found["claims"] if not claim["holds"]]
    tasks = sorted({row["tasks"] for row in found["rows"]})
    said = f"\n{' or '.join(map(str, tasks))} tasks per number, {found['seconds of all cells']:,} s over all cells. "
    if "cells of the figure" in found:
        said = f"\nStopped after {found['cells']} of {found['cells of the figure']} cells: {said[1:]}"
    if not found["claims"]:
        return (
            markdown([*by.values(), *(LABELS[method] for method in methods)], rows)
            + said
            + "No claim was checked.\n"
        )
    said += f"{len(found['claims']) - len(failed)} of {len(found['claims'])} claims hold"
    said += "." if not failed else "; these do not:\n\n"
    said += "\n".join(
        f"- {c['statement']}: {c['value']:.3g} (threshold {c['threshold']:.3g})" for c in failed
    )
    return markdown([*by.values(), *(LABELS[method] for method in methods)], rows) + said + "\n"


def many_tasks() -> str:
    """One pass against the loop."""
    found = stored("many_tasks")
    rows = [
        [
            row["trained"],
            f"{row['context']} + {row['query']}",
            str(row["threads"]),
            f"{row['loop_ms']:.1f} ms",
            f"{row['together_ms']:.1f} ms",
            f"{row['times_faster']:.1f}",
            f"{row['difference']:.0e}",
            f"{row['difference_double']:.0e}",
        ]
        for row in found["rows"]
    ]
    header = [
        "trained",
        "episode",
        "threads",
        "loop",
        "together",
        "times faster",
        "largest difference",
        "in double precision",
    ]
    said = f"\n{found['tasks']} tasks, {found['steps']} steps; load of the machine {found['load']:.0f}.\n"
    return markdown(header, rows) + said


def settings() -> str:
    """What was tried on tasks that no figure reports."""
    rows = [
        [
            NAMES[row["link"]],
            str(row["rows"]),
            str(row["tasks"]),
            *_told(row["setting"]),
            f"{row['in-context']:.3f}",
            f"{row['error']:.4f} ± {row['se']:.4f}",
            f"{row['in-context'] / row['error']:.1f}",
            f"{row['cpu seconds'] / row['tasks']:.1f}",
        ]
        for row in stored("gpt2_settings")
    ]
    header = ["links", "N", "tasks", "trained", "rate", "steps", "episode"]
    return markdown([*header, "in-context", "trained error", "times lower", "CPU s per task"], rows)


def _told(setting: str) -> list[str]:
    what, rate, steps, n_context, n_query = setting.split(",")
    return [what.replace("lora:", "rank "), rate, steps, f"{n_context} + {n_query} rows"]


BLOCKS: dict[str, Callable[[], str]] = {
    f"{figure}-{kind}": partial(errors, figure, kind)
    for figure, kinds in stored("gpt2").items()
    for kind in kinds
} | {"many-tasks": many_tasks, "gpt2-settings": settings}
"""A table for each figure and setting that was run."""
