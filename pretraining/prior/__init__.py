"""The prior: batches of synthetic tables, standardised as the model will see real ones.

Every batch is a pure function of (config, seed, step): nothing else is remembered between steps, so
training can stop and resume anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pretraining.pool import Pool

from .columns import remove_values, standardise
from .draws import Draws
from .drift import drift
from .everyday import remove_for_a_reason
from .labels import MAX_CLASSES
from .mixture import draw_tables, with_panels, with_repeats
from .nominal import Layout, draw_layout
from .serving import serve
from .settings import PriorConfig
from .targets import standardise_target

__all__ = ["MAX_CLASSES", "Batch", "PriorConfig", "sample_batch", "standardise"]


@dataclass(frozen=True)
class Batch:
    """Tables of one shape; the first ``n_context`` rows are context.

    Attributes
    ----------
    x : Tensor of shape (B, T, H), float32
    y : Tensor of shape (B, T), int64 or float32
        Class codes, or targets with zero mean and unit variance over the context.
    n_context : int
    mask : Tensor of shape (B, T - n_context), bool
        True where the loss counts: query rows whose class occurs in the context; all for regression.
    """

    x: Tensor
    y: Tensor
    n_context: int
    mask: Tensor


def sample_batch(config: PriorConfig, seed: int, step: int, pool: Pool | None = None) -> Batch:
    """The batch of a step.

    Parameters
    ----------
    config : PriorConfig
        What to draw.
    seed, step : int
        Together they determine the batch (with the pool's content).
    pool : Pool, optional
        Pre-generated tables; without it their share goes to the other sources.
    """
    switches = {name: getattr(config, name) for name in ("levels", "tails", "useless", "imbalance", "rare")}
    draws = Draws((seed * 1_000_003 + step) * 2_654_435_761 % (1 << 62), **switches)
    wide = draws.coin(config.wide_share)
    n_features = draws.log_integer(*(config.wide_features if wide else config.features))
    n_rows = min(draws.log_integer(*config.rows), max(config.rows[0], config.cells // n_features))
    n_context = max(8, round(n_rows * draws.scalar.uniform(*config.context)))
    # The four CLS columns cost as much as real ones in the row stage.
    n_tables = max(1, round(config.cells / (n_rows * (n_features + 2))))
    layout = Layout(n_features, 0, False, 0, 0)
    if config.nominal and draws.coin(config.nominal):
        layout = draw_layout(
            draws, n_features, n_rows, statistics=config.statistics, numeric=config.regression
        )
    tables = draw_tables(draws, config, layout, n_tables, n_rows + layout.n_extra, pool)
    if config.repeats and draws.coin(config.repeats):
        tables = with_repeats(draws, tables)
    if config.panels and draws.coin(config.panels):
        tables = with_panels(draws, tables)
    x, code, y = tables.x, tables.code, tables.y
    # Drift is an order of the rows; rows that only level statistics are read off have no place in it.
    if config.drift and draws.coin(config.drift) and not layout.n_nominal:
        x, y = drift(draws, x, y)
    if draws.coin(config.missing):
        x = remove_values(draws, x)
        code = code.masked_fill(draws.bernoulli(0.05, *code.shape) & draws.bernoulli(0.3, len(x), 1, 1), -1)
    if config.informative and x.shape[2] and draws.coin(config.informative):
        x = remove_for_a_reason(draws, x, y)
    if layout.n_nominal:
        x, y = serve(draws, x, code, y, n_context, layout)
    x = standardise(x, n_context, **({"rank_weight": 0.0} if draws.coin(config.plain_scale) else {}))
    if config.regression:
        y = standardise_target(y, n_context)
        return Batch(x, y, n_context, torch.ones_like(y[:, n_context:], dtype=torch.bool))
    return Batch(x, y, n_context, countable(y, n_context))


def countable(y: Tensor, n_context: int) -> Tensor:
    """Query rows whose class occurs in the context, in tables whose context has at least two classes."""
    seen = torch.nn.functional.one_hot(y[:, :n_context], MAX_CLASSES).any(1)
    known = seen.gather(1, y[:, n_context:])
    return known & (seen.sum(1, keepdim=True) > 1)
