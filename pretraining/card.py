"""The model card, written from the exported descriptions and the results of ``evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from testtime.errors import InputError, sentence

from .evaluate import read_results
from .export import runs_of
from .report import PLAIN, adapted_part, differences, ranks, steps_part
from .summaries import markdown, of_blocks, per_table, sizes_of, summary_table
from .tasks import TASKS

TITLE = """# Model card: the embedded tabular models

What ships with the package: {names}, trained on synthetic tables only by `pretraining/` of this repository. They are
embedded backbones of the `testtime` estimators, small enough to need no network. The architecture is tabicl's
`TabICL` (Qu et al., 2025, "TabICL: A Tabular Foundation Model for In-Context Learning on Large Data"). This file is
written by `python -m pretraining card`; its numbers are those of `python -m pretraining evaluate`.

"""
FACTS = """## {heading}

| | |
|---|---|
| file | `{task}.safetensors`, {dtype}, {parameters:,} parameters, sha256 `{sha256}` |
| input | numeric columns, categories as ordinal codes; {target} |
| trained on | {ranges} |
| preprocessing | per column, from context rows: half clipped z-score, half mid-rank; missing and constant 0 (rule in `{task}.json`) |
| training | {training} |
| settings changed on the way | {changes} |
| synthetic validation loss | {validation} |
| licence | {licence} |
"""  # noqa: E501 - rows of a table
RESULTS = """### Results on real tables

Plain in-context prediction, no adaptation. All methods see the same training rows; {n_test} test rows at most; mean
over tables of the mean over {seeds}. {orders} Baselines are scikit-learn's, CatBoost and LightGBM with default
settings (200 trees in the forest; boosted trees of scikit-learn with leaves that fit small training sets). {scales}

{summary}

{ranks}Differences with their standard error over tables, and the number of tables on which the model is better:

{differences}

{per_table}

{extra}{curve}### What it was chosen on

Choices were made on synthetic validation loss and on these development tables{apart}: {development}. Reported
tables ({n_reported}): {reported}.
"""
ORDERS = {
    "classifier": '"4 orders" averages four orders of columns and class codes.',
    "regressor": '"4 orders" averages four orders of columns.',
}
BEFORE = ' "The model before" are the weights that these are compared with (`--before`).'
SCALES = {
    "classifier": "Log loss is in nats.",
    "regressor": "RMSE, MAE and CRPS are in standard deviations of the test targets (RMSE 1 is their mean). "
    "CRPS and the coverage of the central 80% interval need a predicted distribution, which the baselines do not give.",
}
ADAPTED = """### After adaptation

The package's estimator with its default settings, fitted on all training rows (the largest n above) and serving n of
them as context. It has seen every training row, so it compares with methods trained on all of them.

"""
STEPS = """### Numbers of steps

Gradient steps on the encoders without a guard, with the estimator's learning rate, each count a run of its own; 128
context rows, the other training rows to step on. The share is the mean gain over that of the most steps (jackknife
standard error over tables).

"""
LIMITS = """## Limits

- {outside} outside these ranges they run, were not trained to, and get slower in proportion.
- Categories are read as ordinal codes, those of many levels with what the levels say about the target beside them;
  free text carries little.
- The models are small and briefly trained: where trees trained on the same rows win is in the tables above.
- Rows are assumed exchangeable, but for {drift}; they are not models of time series.
- Synthetic data carry no social bias of their own; predictions reproduce whatever the user's context rows hold.
"""


def write_card(weights: Path, results: Sequence[Path], out: Path) -> str:
    """Fill the template and write it.

    Parameters
    ----------
    weights : Path
        Folder with ``classifier.json`` and, if shipped, ``regressor.json``.
    results : sequence of Path
        Folders with ``results.json`` of ``evaluate`` on these weights and, if any, ``curve.json``.
    out : Path
        The card.

    Raises
    ------
    InputError
        If results are missing, or were measured on other weights.
    """
    descriptions = {}
    for task in TASKS:
        path = weights / f"{task}.json"
        if path.exists():
            descriptions[task] = json.loads(path.read_text(encoding="utf-8"))
    folders = {read_results(folder / "results.json")[1]["task"]: folder for folder in results}
    missing = set(descriptions) - set(folders)
    if missing or not descriptions:
        raise InputError(
            sentence(
                f"{weights} holds weights for {sorted(descriptions)} and the results are of {sorted(folders)}",
                expected="results for every weights file",
                remedy="Run python -m pretraining evaluate on each and pass all folders to --results",
            )
        )
    text = TITLE.format(names=" and ".join(f"a {task}" for task in descriptions))
    text += "\n".join(
        facts(task, description) + "\n" + _results(task, description, folders[task])
        for task, description in descriptions.items()
    )
    text += "\n" + LIMITS.format(**_limits(descriptions))
    out.write_text(text, encoding="utf-8")
    return text


def facts(task: str, description: dict[str, Any]) -> str:
    """What the weights are and how they came about."""
    training, config = description["training"], description["config"]
    chain = runs_of(training)
    changes = [f"run {i}, {change}" for i, run in enumerate(chain, 1) for change in run["changes"]]
    validation = training["validation_loss"]
    return FACTS.format(
        heading=f"The {task}",
        task=task,
        **{key: description[key] for key in ("dtype", "parameters", "sha256", "licence")},
        target=f"2 to {config['max_classes']} classes"
        if config["max_classes"]
        else f"a numeric target, predicted as {config['num_quantiles']} quantiles",
        ranges="; then ".join(dict.fromkeys(_ranges(run["settings"]) for run in chain)),
        training=training_text(training),
        changes="; ".join(changes) or "none",
        validation=f"{validation['loss_ema']} (running average), {validation['loss_last']} (last weights)"
        if validation
        else "not measured",
    )


def training_text(training: dict[str, Any]) -> str:
    """Steps, tables and minutes, summed over the runs that began with each other's weights."""
    chain = runs_of(training)
    total = {key: sum(run[key] for run in chain) for key in ("step", "tables", "seconds", "skipped")}
    text = f"{total['step']:,} steps, {total['tables']:,} synthetic tables, {total['seconds'] / 60:.0f} minutes on "
    text += f"{training['threads']} CPU thread{'s' if training['threads'] != 1 else ''}"
    if len(chain) > 1:
        parts = "; ".join(
            f"{run['step']:,} steps, {run['tables']:,} tables, {_minutes(run)}" for run in chain
        )
        text += f", in {len(chain)} runs, each from the exported weights of the one before ({parts})"
    for other in training.get("mean_with", ()):
        text += f"; the weights are the mean with those of a run with seed {other['seed']} ({other['step']:,} steps, "
        text += f"{other['tables']:,} tables, {_minutes({**training, **other})})"
    inner = training["settings"].get("meta", {}).get("inner_steps", 0)
    if inner:
        text += f"; the last run with {inner} inner steps of test-time training per table"
    text += f". Torch {training['torch']}; {training['weights']} of the weights; "
    return text + f"{total['skipped']} steps skipped as not finite"


def _minutes(run: dict[str, Any]) -> str:
    clock = "CPU " if run["settings"]["train"].get("clock") == "cpu" else ""
    return f"{run['seconds'] / 60:.0f} {clock}minutes"


def _ranges(settings: dict[str, Any]) -> str:
    prior = settings["prior"]
    low, high = (round(100 * share) for share in prior["context"])
    text = f"{_span(prior['features'])} columns, some tables {_span(prior['wide_features'])}; "
    text += f"{_span(prior['rows'])} rows, {low}-{high}% of them context"
    return text + (f"; {prior['drift']:.0%} of batches with drift" if prior.get("drift") else "; no drift")


def _span(pair: Sequence[int]) -> str:
    return f"{pair[0]:,}-{pair[1]:,}"


def _results(name: str, description: dict[str, Any], folder: Path) -> str:
    records, about = read_results(folder / "results.json")
    if about["sha256"] != description["sha256"]:
        raise InputError(
            sentence(
                f"the results are of weights {str(about['sha256'])[:12]}, the card is for {description['sha256'][:12]}",
                remedy="Run python -m pretraining evaluate on the exported weights first",
            )
        )
    task = TASKS[name]
    plain = of_blocks(records, *PLAIN)
    ranked, adapted, stepped = ranks(task, plain), adapted_part(task, records), steps_part(task, records)
    extra = (ADAPTED + adapted + "\n\n" if adapted else "") + (STEPS + stepped + "\n\n" if stepped else "")
    curve = folder / "curve.json"
    used = [table for table in about["tables"] if table in task.development]
    return RESULTS.format(
        n_test=about["n_test"],
        seeds="1 seed" if about["seeds"] == 1 else f"{about['seeds']} seeds",
        orders=ORDERS[name] + (BEFORE if of_blocks(records, "before") else ""),
        scales=SCALES[name],
        summary=summary_table(plain),
        ranks=f"Mean rank over tables (1 is best), each variant of the model among the baselines:\n\n{ranked}\n\n"
        if ranked
        else "",
        differences=differences(task, plain),
        per_table="\n\n".join(per_table(plain, n, task.measures[0]) for n in sizes_of(plain) if n >= 128),
        extra=extra,
        curve=_curve(curve, task.measures[0], task.loss) if curve.exists() else "",
        apart=f" (of which the numbers above hold {len(used)})"
        if used
        else ", which are in none of the numbers above",
        development=", ".join(task.development),
        reported=", ".join(about["tables"]),
        n_reported=len(about["tables"]),
    )


def _curve(path: Path, *measures: str) -> str:
    data = json.loads(path.read_text(encoding="utf-8"))
    points = data["points"]
    sizes = list(points[0][measures[0]])
    columns = [
        "synthetic tables",
        "minutes",
        *(f"{m.replace('_', ' ')}, n={n}" for m in measures for n in sizes),
    ]
    rows = {
        f"{point['step']:,}": [
            f"{point['tables']:,}",
            f"{point['seconds'] / 60:.0f}",
            *(f"{point[m][n]:.3f}" for m in measures for n in sizes),
        ]
        for point in points
    }
    where = "development" if data["development"] else "reported"
    title = "### Learning curve\n\nWeights on the way to these (running averages), with all runs that led to them; "
    title += f"one order, {where} tables, {data['seeds']} seed{'s' if data['seeds'] != 1 else ''}, "
    title += f"at most {data['n_test']} test rows; "
    return f"{title}printed by `python -m pretraining curve`.\n\n{markdown('steps', columns, rows)}\n\n"


def _limits(descriptions: dict[str, Any]) -> dict[str, str]:
    """The largest ranges any model was trained on, and whether any saw drift."""
    outside, drifted = [], []
    for task, description in descriptions.items():
        chain = runs_of(description["training"])
        priors = [run["settings"]["prior"] for run in chain]
        rows = max(round(p["rows"][1] * p["context"][1]) for p in priors)
        columns = max(p["wide_features"][1] for p in priors)
        classes = description["config"]["max_classes"]
        limit = f", {classes} classes" if classes else ""
        outside.append(
            f"the {task} was trained on at most {columns:,} columns, {rows:,} context rows{limit};"
        )
        drifted += [task] if any(p.get("drift") for p in priors) else []
    drift = (
        f"a small share of synthetic tables with drift (the {' and the '.join(drifted)})"
        if drifted
        else "nothing"
    )
    ranges = " ".join(outside)
    return {"outside": ranges[:1].upper() + ranges[1:], "drift": drift}
