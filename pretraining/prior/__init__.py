"""The prior: batches of synthetic tables, standardised as the model will see real ones.

Every batch is a pure function of (config, seed, step): nothing else is remembered between steps, so
training can stop and resume anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pretraining.pool import POOL_FEATURES, POOL_ROWS, Pool

from .columns import remove_values, roughen, standardise
from .draws import Draws, unit
from .drift import drift
from .everyday import count_and_rate, dates, remove_for_a_reason, repeat_rows
from .functions import FUNCTIONS, base_features
from .labels import MAX_CLASSES, draw_class_counts, flip
from .nominal import Layout, draw_layout, random_effects, to_nominal
from .selection import select
from .serving import serve
from .sources import causal_tables, class_tables
from .targets import finish_target, standardise_target

__all__ = ["MAX_CLASSES", "Batch", "PriorConfig", "sample_batch", "standardise"]


@dataclass(frozen=True)
class PriorConfig:
    """Shares and ranges of the prior; every ingredient is a number here, so that it can be switched off.

    Attributes
    ----------
    regression : bool
        Numeric targets instead of classes. The source ``classes`` is then left out.
    sources : dict of str to float
        Relative weight of each kind of table: ``causal``, ``classes``, ``pool`` and the names in
        ``functions.FUNCTIONS``. ``pool`` is ignored while no pool is loaded.
    kinds_per_batch : int
        Number of different sources in one batch.
    candidates : float
        Tables drawn per table kept; see ``selection``. 1 switches the selection off.
    cells : int
        Rows x columns x tables per batch, about.
    rows, features, wide_features : tuple of int
        Ranges, log-uniform.
    wide_share : float
        Share of batches with ``wide_features`` columns.
    context : tuple of float
        Range of the share of rows that are context, uniform.
    roughen, missing, drift, plain_scale : float
        Shares of batches with column defects, with missing values, with temporal drift, and standardised
        without the rank half.
    label_noise : float
        Share of tables some of whose rows have the label of another row.
    nominal, statistics : float
        Share of batches with nominal columns of many levels, and share of those served with the levels' statistics.
        The source ``random_effects`` exists in these batches only.
    most_levels : int
        Of a nominal column.
    counts, dates, repeats, informative : float
        Shares of batches with counts and rates, with dates taken apart, with repeated rows, and with values that are
        missing because of the target or of another column.
    rare : float
        Share of tables with a class of 1-10%.
    weak : float
        Share of batches whose tables are selected by held-out correlation, which keeps weak signals, instead of
        accuracy.
    levels, tails, useless, imbalance : bool
        Whether there are columns with few levels and codes; heavy-tailed columns (and numeric targets); duplicated
        and uninformative columns among the defects; classes of unequal size by design.
    """

    regression: bool = False
    sources: dict[str, float] = field(
        default_factory=lambda: {
            "causal": 0.26,
            "classes": 0.11,
            "pool": 0.25,
            "oblivious_trees": 0.07,
            "jagged_trees": 0.07,
            "rule_lists": 0.05,
            "interactions": 0.06,
            "additive": 0.09,
            "prototypes": 0.04,
            "experts": 0.05,
            "smooth_fields": 0.06,
        }
    )
    kinds_per_batch: int = 3
    candidates: float = 2.0
    cells: int = 28_000
    rows: tuple[int, int] = (128, 1280)
    features: tuple[int, int] = (2, 20)
    wide_features: tuple[int, int] = (21, 60)
    wide_share: float = 0.08
    context: tuple[float, float] = (0.06, 0.86)
    roughen: float = 0.7
    missing: float = 0.12
    drift: float = 0.0
    plain_scale: float = 0.1
    label_noise: float = 0.3
    nominal: float = 0.0
    statistics: float = 0.7
    most_levels: int = 300
    counts: float = 0.0
    dates: float = 0.0
    repeats: float = 0.0
    informative: float = 0.0
    rare: float = 0.0
    weak: float = 0.0
    levels: bool = True
    tails: bool = True
    useless: bool = True
    imbalance: bool = True


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
    n_drawn = n_rows + layout.n_extra
    usable = dict(config.sources)
    if pool is None or n_drawn > POOL_ROWS or n_features > POOL_FEATURES:
        usable.pop("pool", None)
    if config.regression:
        usable.pop("classes", None)
    if not layout.n_nominal:
        usable.pop("random_effects", None)
    x, code, y = _draw_tables(draws, usable, config, n_tables, n_drawn, layout, pool)
    if config.repeats and draws.coin(config.repeats):
        x, code, y = _repeated(draws, x, code, y)
    if config.drift and draws.coin(config.drift) and not layout.n_nominal:
        x, y = drift(draws, x, y)
    if draws.coin(config.missing):
        x = remove_values(draws, x)
        code = code.masked_fill(draws.bernoulli(0.05, *code.shape) & draws.bernoulli(0.3, len(x), 1, 1), -1)
    if config.informative and draws.coin(config.informative):
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


def _draw_tables(
    draws: Draws,
    usable: dict[str, float],
    config: PriorConfig,
    n_tables: int,
    n_rows: int,
    layout: Layout,
    pool: Pool | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Tables of up to ``kinds_per_batch`` sources, with noisy targets and column defects.

    Returns
    -------
    x : Tensor of shape (B, T, n_raw - n_nominal)
    code : Tensor of shape (B, T, n_nominal), int64
    y : Tensor of shape (B, T)
    """
    kinds = min(config.kinds_per_batch, n_tables)
    sizes = [n_tables // kinds + (i < n_tables % kinds) for i in range(kinds)]
    weak = bool(config.weak) and draws.coin(config.weak)
    n_numeric = layout.n_raw - layout.n_nominal
    most_levels = min(config.most_levels, max(3, n_rows // 3))
    parts = []
    for size in sizes:
        kind = draws.pick(usable)
        drawn = round(size * config.candidates)
        n_classes = None if config.regression else draw_class_counts(draws, drawn)
        if kind == "pool" and pool is not None:
            x, y = pool.draw(drawn, n_rows, layout.n_raw, draws.generator)
        elif kind == "causal":
            x, y = causal_tables(draws, drawn, n_rows, layout.n_raw, n_classes)
        elif kind == "classes" and n_classes is not None:
            x, y = class_tables(draws, n_rows, layout.n_raw, n_classes)
        else:
            coded = kind == "additive" and draws.coin(0.6) and config.levels
            x, y = base_features(draws, drawn, n_rows, layout.n_raw, discrete=coded), None
            if config.dates and draws.coin(config.dates):
                x = dates(draws, x)
        # Levels are known before an explicit function makes the target of them; else they coarsen what made it.
        value, code = (
            to_nominal(draws, x[:, :, n_numeric:], most_levels) if layout.n_nominal else (x[:, :, :0],) * 2
        )
        numeric = x[:, :, :n_numeric]
        if y is None and kind == "random_effects":
            y = random_effects(draws, numeric, code, most_levels, n_classes)
        elif y is None:
            y = FUNCTIONS[kind](draws, unit(torch.cat([numeric, value], 2)), n_classes)
        rough = config.roughen / 2 if kind == "pool" else config.roughen
        if numeric.shape[2]:
            numeric = roughen(draws, numeric) if draws.coin(rough) else numeric
            if config.counts and draws.coin(config.counts):
                numeric = count_and_rate(draws, numeric)
        if n_classes is not None:
            y = flip(draws, y, config.label_noise)
        elif kind != "pool":
            y = finish_target(draws, y)
        if layout.n_nominal and draws.useless:
            shuffled = code.gather(1, draws.uniform(*code.shape).argsort(1))
            code = torch.where(draws.bernoulli(0.15, drawn, 1, layout.n_nominal), shuffled, code)
        if drawn > size:
            keep = select(draws, torch.cat([numeric, value], 2), y, size, weak=weak)
            numeric, code, y = numeric[keep], code[keep], y[keep]
        parts.append((numeric, code.long(), y))
    x, code, y = (torch.cat(several) for several in zip(*parts, strict=True))
    return x, code, y


def _repeated(draws: Draws, x: Tensor, code: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Some rows become copies of others, all but a few values; their target mostly comes along."""
    source = repeat_rows(draws, *y.shape)

    def copied(values: Tensor, share: float) -> Tensor:
        twin = values.gather(1, source.reshape(*source.shape, *[1] * (values.ndim - 2)).expand_as(values))
        return torch.where(draws.bernoulli(share, *values.shape), twin, values)

    return copied(x, 0.97), copied(code, 0.97), copied(y, 0.97)
