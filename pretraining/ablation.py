"""What each ingredient of the prior is worth: equal steps without it, measured on the development tables.

``python -m pretraining ablation --config FILE --out FOLDER`` trains one small run per variant.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from .config import Config
from .evaluate import measure, summary
from .methods import in_context, load_model
from .pool import Pool
from .prior import PriorConfig
from .tables import DEVELOPMENT
from .train import train

JAGGED = ("oblivious_trees", "jagged_trees", "rule_lists", "interactions", "prototypes")


def variants(prior: PriorConfig) -> dict[str, PriorConfig]:
    """The full prior, and the prior with one ingredient left out at a time."""

    def without(*names: str) -> PriorConfig:
        return replace(prior, sources={k: v for k, v in prior.sources.items() if k not in names})

    return {
        "full": prior,
        "no tabicl.prior pool": without("pool"),
        "no causal networks": without("causal"),
        "no class-conditional tables": without("classes"),
        "no trees, rules, interactions, prototypes": without(*JAGGED),
        "no column defects": replace(prior, roughen=0.0),
        "no missing values": replace(prior, missing=0.0),
        "no wide tables": replace(prior, wide_share=0.0),
        "no selection of predictable tables": replace(prior, candidates=1.0),
    }


def ablate(
    config: Config, folder: Path, *, pool: Pool | None, sizes: tuple[int, ...] = (128, 512), seeds: int = 2
) -> dict[str, dict[str, dict[int, float]]]:
    """Train and measure every variant.

    Parameters
    ----------
    config : Config
        ``config.train.steps`` steps are spent on every variant; a time budget is ignored, so that all see
        as many.
    folder : Path
        One run folder per variant; finished runs are not repeated.
    pool : Pool, optional
        Pre-generated tables.

    Returns
    -------
    dict
        Variant -> measure -> size -> mean over the development tables.
    """
    out = {}
    for name, prior in variants(config.prior).items():
        run = folder / name.replace(",", "").replace(" ", "-")
        train(replace(config, prior=prior, train=replace(config.train, budget_seconds=None)), run, pool=pool)
        method = {"model": in_context(load_model(run / "last.safetensors"), 1)}
        records = measure(method, DEVELOPMENT, sizes=list(sizes), seeds=seeds, n_test=400)
        out[name] = {measure_name: rows["model"] for measure_name, rows in summary(records).items()}
    return out
