"""Numbers in words: the tables in README and docs, from the JSON that benchmarks wrote.

    python -m benchmarks.words            write them
    python -m benchmarks.words --check    say which differ; exit code 1 if one does

A block begins with ``<!-- numbers: NAME -->`` and ends with ``<!-- end of numbers -->``; what stands between is
replaced by what the function of that name in :data:`BLOCKS` returns.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import (
    words_codes,
    words_generations,
    words_gpt2,
    words_groups,
    words_long,
    words_single_index,
    words_unseen,
)
from benchmarks.stored import markdown, stored
from benchmarks.words_generations import lowest

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"(<!-- numbers: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(<!-- end of numbers -->)", re.DOTALL
)
_OWN, _RIVAL = "testtime", "rival: frozen, all rows, 8 orders"


def _against(summary: dict[str, Any], a: str, b: str) -> dict[str, Any]:
    return summary["against"][f"{a} against {b}"]


def _interval(values: list[float], unit: str = "%") -> str:
    scale = 100.0 if unit == "%" else 1.0
    digits = 1 if unit == "%" else 3
    return f"{values[0] * scale:+.{digits}f} to {values[1] * scale:+.{digits}f}{' %' if unit == '%' else ''}"


def _scores(summary: dict[str, Any], names: dict[str, str]) -> str:
    """Mean scores of methods, by the label of each."""
    rows = []
    for method, label in names.items():
        own = summary["methods"][method]
        rows.append([label, f"{own['log_loss']:.4f}", f"{own['auc']:.4f}", f"{own['accuracy']:.4f}"])
    return markdown(["", "log loss", "AUC", "accuracy"], rows)


def what_you_get() -> str:
    """Classes: the default against everything that can be had without it."""
    found = stored("tabular")
    summary = found["summary"]
    names = {
        _OWN: "**testtime, default settings**",
        _RIVAL: "the same model frozen: all rows as context, 8 orders averaged",
        "plain, 1 order": "the same model frozen, one order",
    }
    own = summary["methods"]
    shown = sorted((m for m in own if "128" not in m), key=lambda m: own[m]["mean rank of log_loss"])
    rows = []
    for method in shown:
        scores = own[method]
        paired = _against(summary, _OWN, method) if method != _OWN else None
        change = f"{-100 * paired['median over tables']:+.1f} %" if paired else ""
        rows.append(
            [
                names.get(method, method),
                f"{scores['log_loss']:.4f}",
                f"{scores['auc']:.4f}",
                f"{scores['mean rank of log_loss']:.2f}",
                f"{scores['mean rank of auc']:.2f}",
                change,
            ]
        )
    header = [
        "",
        "log loss",
        "AUC",
        "rank by log loss",
        "rank by AUC",
        "testtime's loss is lower by (median)",
    ]
    paired = _against(summary, _OWN, _RIVAL)
    seconds = summary["seconds of default"]["median"]
    said = (
        f"\n{summary['tables']} tables, {summary['runs']} draws of up to 1,000 training rows. testtime's log loss is "
        f"the lowest of all learners on {lowest(found['cells'], found['cells'])} tables. "
        f"Against the frozen model: log loss {_interval(paired['interval'])}, "
        f"AUC {_interval(paired['auc interval'], '')} (95 % intervals over tables); "
        f"lower on {paired['tables better']:.0%} of tables, by 1 % or more on "
        f"{paired['tables better by 1%']:.0%}; higher by 1 % on {paired['runs worse by 1%']:.0%} of runs, by 0.5 % on "
        f"{paired['runs worse by 0.5%']:.0%}; worst run {paired['worst run']:+.1%}. Median fit {seconds:.0f} s on two "
        "cores that other work shared.\n"
    )
    return markdown(header, rows) + said


def few_rows() -> str:
    """A hundred training rows."""
    summary = stored("tabular-100")["summary"]
    names = {_OWN: "testtime, default settings", _RIVAL: "the same model frozen, 8 orders"}
    paired = _against(summary, _OWN, _RIVAL)
    said = (
        f"\n{summary['tables']} tables, {summary['runs']} draws. Log loss {_interval(paired['interval'])}, AUC "
        f"{_interval(paired['auc interval'], '')}; log loss lower by 1 % or more on "
        f"{paired['tables better by 1%']:.0%} of tables, higher by 1 % on {paired['runs worse by 1%']:.0%}.\n"
    )
    return _scores(summary, names) + said


def short() -> str:
    """128 rows as context: adapted and frozen, against the frozen model with all rows."""
    summary = stored("short")["summary"]
    own = "testtime, 128 rows"
    names = {
        own: "testtime, 128 rows",
        "frozen, 128 rows": "frozen, 128 rows",
        _RIVAL: "frozen, all rows",
        _OWN: "testtime",
    }
    gain, level = _against(summary, own, "frozen, 128 rows"), _against(summary, own, _RIVAL)
    said = (
        f"\n{summary['tables']} tables, {summary['runs']} draws. Both with 128 rows, adapted against frozen: log loss "
        f"{_interval(gain['interval'])}, AUC {_interval(gain['auc interval'], '')} (95 % intervals over tables); "
        f"lower on {gain['tables better']:.0%} of tables, by 1 % or more on {gain['tables better by 1%']:.0%}. "
        f"Adapted with 128 rows against frozen with all: log loss {_interval(level['interval'])} (median "
        f"{100 * level['median over tables']:+.1f} %), AUC {_interval(level['auc interval'], '')}; lower on "
        f"{level['tables better']:.0%} of tables, higher by 1 % on {level['runs worse by 1%']:.0%}.\n"
    )
    return _scores(summary, names) + said


def tuner() -> str:
    """The checkpoint's own fine-tuner."""
    found = stored("tuner")
    cells, summary, tuned = found["cells"], found["summary"], "official tuner"
    names = {
        _OWN: "testtime, default settings",
        _RIVAL: "the same model frozen, 8 orders",
        tuned: "tabicl's fine-tuner, default settings",
    }
    paired = _against(summary, _OWN, tuned)
    frozen = sum(
        cell["default"]["frozen"]["log_loss"] <= cell["tuner"][tuned]["log_loss"] for cell in cells
    ) / len(cells)
    seconds = median(cell["tuner"][tuned]["cpu_seconds"] for cell in cells)
    mean = 100 * paired["relative difference of log_loss"]
    said = (
        f"\n{summary['tables']} tables, {summary['runs']} draws. testtime's log loss is lower than the fine-tuner's on "
        f"{paired['tables better']:.0%} of tables, {mean:+.1f} % on the mean "
        f"({_interval(paired['interval'])}). The frozen model in eight orders, which takes no training, is at or below "
        f"the fine-tuner's on {frozen:.0%}. The fine-tuner took {seconds:.0f} processor seconds (median).\n"
    )
    return _scores(summary, names) + said


def served_context() -> str:
    """How many episodes have the context that will be served."""
    found = stored("served_context")["summary"]
    rows = []
    for share in found["classes"]:
        row = [f"{share} (the default)" if share == "every other" else share]
        for kind in ("classes", "numbers"):
            own = found[kind][share]
            row += [f"{own['mean']:+.1%}", f"{own['worst']:+.1%}", f"{own['best of the three on']:.0%}"]
        rows.append(row)
    draws = {kind: own["all"]["draws"] for kind, own in found.items()}
    header = ["episodes with the served context"]
    for what in (f"log loss, {draws['classes']} tables", f"CRPS, {draws['numbers']} draws"):
        header += [what, "worst", "best on"]
    return markdown(header, rows)


def context_rows() -> str:
    """Which rows stay when the context is short."""
    found = stored("context_rows")["summary"]
    names = {"influence": "best of eight stratified draws", "both": "best of eight covering draws (served)"}
    rows = [
        [
            names.get(rule, rule),
            f"{100 * own['log loss against stratified, mean']:+.1f} ± {100 * own['standard error']:.1f} %",
            f"{100 * own['median']:+.1f} %",
            f"{own['lower on']:.0%}",
            f"{own['AUC against stratified']:+.4f}",
        ]
        for rule, own in found.items()
        if rule != "stratified"
    ]
    header = ["against a stratified draw", "log loss, mean", "median", "lower on", "AUC"]
    return markdown(header, rows)


def numbers() -> str:
    """Numeric targets."""
    summary = stored("numbers")["summary"]
    names = {_OWN: "testtime, default settings", _RIVAL: "the same model frozen, 8 orders"}
    rows = [
        [
            names.get(method, method),
            *(f"{scores[m]:.4f}" if m in scores else "" for m in ("crps", "rmse")),
            f"{scores['mean rank of rmse']:.2f}",
        ]
        for method, scores in sorted(summary["methods"].items(), key=lambda item: item[1]["rmse"])
    ]
    paired = _against(summary, _OWN, _RIVAL)
    said = (
        f"\n{summary['tables']} tables, {summary['runs']} draws. CRPS against the frozen model: "
        f"{100 * paired['relative difference of crps']:+.1f} % on the mean ({_interval(paired['interval'])}), median "
        f"{100 * paired['median over tables']:+.1f} %; lower on {paired['tables better']:.0%} of tables, by 1 % or "
        f"more on {paired['tables better by 1%']:.0%}; higher by 1 % on {paired['runs worse by 1%']:.0%} of runs, "
        "worst run "
        f"{paired['worst run']:+.1%}.\n"
    )
    return markdown(["", "CRPS", "RMSE", "rank by RMSE"], rows) + said


def forecast() -> str:
    """What the planner said of tables that it had not seen."""
    found = stored("forecast")
    rows = [
        ["tables, draws", f"{found['tables']}, {found['draws']}"],
        ["gains inside the 80 % interval", f"{found['share inside the 80% interval']:.0%}"],
        ["rank correlation of forecast and gain", f"{found['rank correlation of forecast and gain']:.2f}"],
        ["the same, both averaged over draws", f"{found['rank correlation of means over draws']:.2f}"],
        [
            "of the gains in two draws of a table",
            f"{found['rank correlation of gains in two draws']:.2f}",
        ],
        ["share advised to adapt", f"{found['share of tables that are advised to adapt']:.0%}"],
        [
            "fewest draws with 95 % of the gain, known afterwards",
            f"{found['share of draws that would do']:.0%}",
        ],
        ["gain kept by following the advice", f"{found['gain kept by following the advice']:.0%}"],
        ["seconds spent, of always adapting", f"{found['seconds spent by following the advice']:.0%}"],
        [
            "mean forecast probability of harm; share harmed",
            f"{found['mean probability of harm']:.0%}; {found['share harmed']:.0%}",
        ],
    ]
    return markdown(["on tables left out", ""], rows)


def levels() -> str:
    """Categories with many levels."""
    cells = stored("levels")["cells"]
    rows = []
    for n_levels in sorted({cell["levels"] for cell in cells}):
        own = [cell for cell in cells if cell["levels"] == n_levels]
        areas = (
            sum(c["auc"][name] for c in own) / len(own) for name in ("best", "one-hot", "frozen", "served")
        )
        rows.append([f"{n_levels:,}", f"{own[0]['rows']:,}", *(f"{area:.3f}" for area in areas)])
    return markdown(
        ["levels", "rows", "odds known", "one-hot logistic regression", "frozen", "testtime"], rows
    )


def dirty() -> str:
    """Tables as people have them."""
    cells = [cell for cell in stored("dirty")["outcomes"] if cell["way"] != "clean"]
    within = sum(abs(cell["dirty"] - cell["clean"]) <= 0.01 for cell in cells)
    worst = min(cells, key=lambda cell: cell["dirty"] - cell["clean"])
    return (
        f"{len({cell['table'] for cell in cells})} tables, {len({cell['way'] for cell in cells})} ways: {within} of "
        f"{len(cells)} within .01 of the AUC of the clean "
        f"table; the largest loss is {worst['clean'] - worst['dirty']:.3f} ({worst['way']}, {worst['table']}).\n"
    )


def repeated() -> str:
    """Rows that repeat."""
    cells = stored("repeated_rows")["cells"]
    worse = [cell for cell in cells if cell["worse"]]
    largest = max((cell["difference"] for cell in worse), default=0.0)
    return (
        f"{len(cells)} fits, adapters served in {sum(cell['weight'] > 0 for cell in cells)}: {len(worse)} worse than "
        f"the frozen model by more than two standard errors, the largest by {largest:.4f} nats.\n"
    )


def costs() -> str:
    """Seconds and memory of this version and of the one before, in turn."""
    rows = []
    for name, case in stored("costs")["cases"].items():
        unit = " MB" if "peak" in name else "" if "over one" in name else " s"
        both = (case["now"], case["before"])
        shown = [f"{one['median']:.3g}{unit} ({one['low']:.3g} to {one['high']:.3g})" for one in both]
        rows.append([name, *shown, f"{case['ratio']:.2f}"])
    return markdown(["", "now", "0.1", "ratio"], rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "what-you-get": what_you_get,
    "few-rows": few_rows,
    "short": short,
    "tuner": tuner,
    "served-context": served_context,
    "context-rows": context_rows,
    "numbers": numbers,
    "levels": levels,
    "dirty": dirty,
    "repeated": repeated,
    "forecast": forecast,
    "costs": costs,
    **words_generations.BLOCKS,
    **words_gpt2.BLOCKS,
    **words_groups.BLOCKS,
    **words_codes.BLOCKS,
    **words_unseen.BLOCKS,
    **words_long.BLOCKS,
    **words_single_index.BLOCKS,
}


def renewed(text: str) -> str:
    """Return the text with every block as the stored results have it."""
    return _BLOCK.sub(lambda found: found[1] + BLOCKS[found["name"]]() + found[4], text)


def pages() -> list[Path]:
    """Return the pages that may hold blocks."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for path in pages():
        text = path.read_text(encoding="utf-8")
        if (new := renewed(text)) != text:
            stale.append(path)
            if not check:
                path.write_text(new, encoding="utf-8")
    for path in stale:
        print(f"{path.relative_to(ROOT)} {'differs from the stored results' if check else 'was written'}")
    sys.exit(bool(stale and check))


if __name__ == "__main__":
    main()
