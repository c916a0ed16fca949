"""What each ingredient of the prior is worth: equal CPU seconds without it, measured on the development tables.

``python -m pretraining ablation --config FILE --out FOLDER`` trains one small run per variant, and the full prior with
two seeds: what these two differ by is noise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from testtime.errors import InputError, sentence

from .config import Config
from .evaluate import Block, Draws, measure, on_same_rows, write_json
from .methods import in_context, load_model
from .pool import Pool
from .prior import PriorConfig
from .summaries import Record, markdown, paired, table_means
from .tasks import TASKS, Task
from .train import train

FULL, AGAIN = "full", "full, other seed"
TREES = ("oblivious_trees", "jagged_trees")
RULES = ("rule_lists", "interactions")


def variants(prior: PriorConfig) -> dict[str, PriorConfig]:
    """The full prior, and the prior with one ingredient left out at a time; what it does not hold is left away."""

    def without(*names: str) -> PriorConfig:
        return replace(prior, sources={k: v for k, v in prior.sources.items() if k not in names})

    made = {
        "no tabicl.prior pool": without("pool"),
        "no causal networks": without("causal"),
        "no class-conditional tables": without("classes"),
        "no trees": without(*TREES),
        "no rules and interactions": without(*RULES),
        "no additive tables": without("additive"),
        "no prototypes, experts, smooth fields": without("prototypes", "experts", "smooth_fields"),
        "no column defects": replace(prior, roughen=0.0),
        "no categorical columns": replace(prior, levels=False),
        "no heavy tails": replace(prior, tails=False),
        "no useless columns": replace(prior, useless=False),
        "no missing values": replace(prior, missing=0.0),
        "no nominal columns of many levels": replace(prior, nominal=0.0),
        "no level statistics": replace(prior, statistics=0.0) if prior.nominal else prior,
        "no random effects": without("random_effects"),
        "no counts and rates": replace(prior, counts=0.0),
        "no dates": replace(prior, dates=0.0),
        "no repeated rows": replace(prior, repeats=0.0),
        "no panels": replace(prior, panels=0.0),
        "nothing missing for a reason": replace(prior, informative=0.0),
        "no rare classes": replace(prior, rare=0.0),
        "no weak signals": replace(prior, weak=0.0),
        "no wide tables": replace(prior, wide_share=0.0),
        "no drift": replace(prior, drift=0.0),
        "no imbalance": replace(prior, imbalance=False),
        "no label noise": replace(prior, label_noise=0.0),
        "no selection of predictable tables": replace(prior, candidates=1.0),
    }
    if prior.regression:
        for name in ("no class-conditional tables", "no imbalance"):
            made.pop(name)
    return {FULL: prior} | {name: other for name, other in made.items() if other != prior}


def ablate(
    config: Config,
    folder: Path,
    *,
    pool: Pool | None,
    draws: Draws,
    only: Sequence[str] = (),
    names: Sequence[str] | None = None,
) -> tuple[Task, dict[str, list[Record]]]:
    """Train and measure every variant.

    Parameters
    ----------
    config : Config
        Needs ``train.clock = "cpu"`` and ``train.budget_seconds``: what is spent on every variant.
    folder : Path
        One run folder per variant; a killed run continues, a measured one is not repeated.
    pool : Pool, optional
        Pre-generated tables.
    draws : Draws
        Rows of the development tables.
    only : sequence of str
        Variants besides the two full ones; empty for all.
    names : sequence of str, optional
        Tables; by default the development tables.

    Raises
    ------
    InputError
        Without a budget of CPU seconds, or for a variant that does not exist.
    """
    if config.train.clock != "cpu" or not config.train.budget_seconds:
        raise InputError(
            sentence(
                f"train.clock={config.train.clock!r} and train.budget_seconds={config.train.budget_seconds}",
                expected="'cpu' and a number of seconds",
                why="every variant gets the same CPU time",
                remedy="Set both in the configuration, as in pretraining/configs/ablation.toml",
            )
        )
    made = variants(config.prior)
    unknown = set(only) - set(made)
    if unknown:
        raise InputError(sentence(f"variants {sorted(unknown)}", expected=f"some of {list(made)}"))
    chosen = {k: v for k, v in made.items() if k == FULL or not only or k in only}
    runs = {name: replace(config, prior=prior) for name, prior in chosen.items()}
    runs[AGAIN] = replace(config, train=replace(config.train, seed=config.train.seed + 1))
    task = TASKS["regressor" if config.prior.regression else "classifier"]
    out = {}
    for name, settings in runs.items():
        run = folder / name.replace(",", "").replace(" ", "-")
        kept, stamp = run / "measured.json", json.loads(json.dumps([settings.to_dict(), asdict(draws)]))
        data = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else None
        if data is None or data["stamp"] != stamp:
            # Time alone drives the schedule: a fast variant must not end at a number of steps.
            endless = replace(settings, train=replace(settings.train, steps=10**9))
            train(endless, run, pool=pool)
            model = in_context(load_model(run / "last.safetensors"))
            block = Block("model", on_same_rows({"model": model}), "")
            records = measure(task, [block], names or task.development, draws)
            data = {"stamp": stamp, "records": [asdict(record) for record in records]}
            write_json(kept, data)
        out[name] = [Record(**record) for record in data["records"]]
    return task, out


def ablation_table(results: dict[str, list[Record]], measures: Sequence[str]) -> str:
    """Each variant minus the mean of the two full runs, with its paired standard error over tables, as Markdown.

    The row of the two full runs is their difference: what is not clearly larger is noise.
    """
    columns, rows = [], {}
    for name_of_measure in measures:
        means = {name: table_means(records, name_of_measure) for name, records in results.items()}
        sizes = sorted({n for _, _, n in means[FULL]})
        columns += [f"{name_of_measure.replace('_', ' ')}, n={n}" for n in sizes]
        full = {key: (value + means[AGAIN][key]) / 2 for key, value in means[FULL].items()}
        for name in (FULL, AGAIN, *(n for n in results if n not in (FULL, AGAIN))):
            base = means[FULL] if name == AGAIN else full
            both = {(t, "own", n): v for (t, _, n), v in means[name].items()}
            both |= {(t, "base", n): v for (t, _, n), v in base.items()}
            for n in sizes:
                gap = paired(both, "own", "base", n, name_of_measure)
                level = sum(v for (_, _, k), v in full.items() if k == n) / (gap["tables"] or 1)
                error = "?" if gap["standard_error"] is None else f"{gap['standard_error']:.4f}"
                cell = f"{level:.4f}" if name == FULL else f"{gap['mean']:+.4f} ± {error}"
                rows.setdefault(_label(name), []).append(cell)
    return markdown("equal CPU seconds", columns, rows)


def _label(name: str) -> str:
    return {FULL: "full, mean of two seeds", AGAIN: "second seed minus first (noise)"}.get(name, name)
