"""Tables of several sources in one batch: features, target, noise, column defects, selection.

Shapes: B tables, T rows; a table has numeric columns and, where the layout says so, nominal ones beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pretraining.pool import POOL_FEATURES, POOL_ROWS, Pool

from .columns import roughen
from .draws import Draws, unit
from .everyday import count_and_rate, dates, entities, repeat_rows
from .functions import FUNCTIONS, base_features
from .labels import draw_class_counts, flip
from .nominal import Layout, random_effects, to_nominal
from .selection import select
from .settings import PriorConfig
from .sources import causal_tables, class_tables
from .targets import finish_target


@dataclass(frozen=True)
class Tables:
    """Tables of one shape, as somebody would have them.

    Attributes
    ----------
    x : Tensor of shape (B, T, H), float32
        Numeric columns.
    code : Tensor of shape (B, T, K), int64
        Nominal columns; -1 is missing.
    y : Tensor of shape (B, T), int64 or float32
        Class codes, or numbers.
    """

    x: Tensor
    code: Tensor
    y: Tensor

    def take(self, tables: Tensor) -> Tables:
        """Some of the tables."""
        return Tables(self.x[tables], self.code[tables], self.y[tables])


def draw_tables(
    draws: Draws, config: PriorConfig, layout: Layout, n_tables: int, n_rows: int, pool: Pool | None
) -> Tables:
    """Tables of up to ``kinds_per_batch`` sources, with noisy targets and column defects."""
    usable = _usable(config, layout, n_rows, pool)
    kinds = min(config.kinds_per_batch, n_tables)
    sizes = [n_tables // kinds + (i < n_tables % kinds) for i in range(kinds)]
    weak = bool(config.weak) and draws.coin(config.weak)
    parts = []
    for size in sizes:
        kind, drawn = draws.pick(usable), round(size * config.candidates)
        tables, value = _of_one_source(draws, kind, config, layout, drawn, n_rows, pool)
        if drawn > size:
            visible = torch.cat([tables.x, value], 2)
            tables = tables.take(select(draws, visible, tables.y, size, weak=weak))
        parts.append(tables)
    return Tables(*(torch.cat([getattr(part, name) for part in parts]) for name in ("x", "code", "y")))


def _usable(config: PriorConfig, layout: Layout, n_rows: int, pool: Pool | None) -> dict[str, float]:
    """The sources that can make such tables."""
    usable = dict(config.sources)
    if pool is None or n_rows > POOL_ROWS or layout.n_raw > POOL_FEATURES:
        usable.pop("pool", None)
    if config.regression:
        usable.pop("classes", None)
    if not layout.n_nominal:
        usable.pop("random_effects", None)
    return usable


def _of_one_source(
    draws: Draws, kind: str, config: PriorConfig, layout: Layout, drawn: int, n_rows: int, pool: Pool | None
) -> tuple[Tables, Tensor]:
    """Tables of one source, and what their nominal columns contribute, (B, T, K): the codes themselves say nothing.

    Levels are known before an explicit function makes the target of them; in the other sources they coarsen the columns
    that made it, or were made by it.
    """
    n_classes = None if config.regression else draw_class_counts(draws, drawn)
    x, y = _features(draws, kind, config, layout, drawn, n_rows, n_classes, pool)
    n_numeric = layout.n_raw - layout.n_nominal
    most_levels = min(config.most_levels, max(3, n_rows // 3))
    value = x[:, :, n_numeric:]
    code = torch.zeros(value.shape, dtype=torch.int64)
    if layout.n_nominal:
        value, code = to_nominal(draws, value, most_levels)
    x = x[:, :, :n_numeric]
    if kind == "random_effects":
        y = random_effects(draws, x, code, most_levels, n_classes)
    elif y is None:
        y = FUNCTIONS[kind](draws, unit(torch.cat([x, value], 2)), n_classes)
    if n_numeric:
        x = _with_defects(draws, x, config, config.roughen / 2 if kind == "pool" else config.roughen)
    if n_classes is not None:
        y = flip(draws, y, config.label_noise)
    elif kind != "pool":
        y = finish_target(draws, y)
    if layout.n_nominal and draws.useless:
        shuffled = code.gather(1, draws.uniform(*code.shape).argsort(1))
        code = torch.where(draws.bernoulli(0.15, drawn, 1, layout.n_nominal), shuffled, code)
    return Tables(x, code, y), value


def _features(
    draws: Draws,
    kind: str,
    config: PriorConfig,
    layout: Layout,
    drawn: int,
    n_rows: int,
    n_classes: Tensor | None,
    pool: Pool | None,
) -> tuple[Tensor, Tensor | None]:
    """Columns, and the target where the source makes both at once."""
    if kind == "pool" and pool is not None:
        return pool.draw(drawn, n_rows, layout.n_raw, draws.generator)
    if kind == "causal":
        return causal_tables(draws, drawn, n_rows, layout.n_raw, n_classes)
    if kind == "classes" and n_classes is not None:
        return class_tables(draws, n_rows, layout.n_raw, n_classes)
    coded = kind == "additive" and draws.coin(0.6) and config.levels
    x = base_features(draws, drawn, n_rows, layout.n_raw, discrete=coded)
    if config.dates and draws.coin(config.dates):
        x = dates(draws, x)
    return x, None


def _with_defects(draws: Draws, x: Tensor, config: PriorConfig, rough: float) -> Tensor:
    x = roughen(draws, x) if draws.coin(rough) else x
    if config.counts and draws.coin(config.counts):
        x = count_and_rate(draws, x)
    return x


def with_repeats(draws: Draws, tables: Tables) -> Tables:
    """Some rows become copies of others, all but a few values; their target mostly comes along."""
    source = repeat_rows(draws, *tables.y.shape)

    def copied(values: Tensor) -> Tensor:
        row = source.reshape(*source.shape, *[1] * (values.ndim - 2)).expand_as(values)
        return torch.where(draws.bernoulli(0.97, *values.shape), values.gather(1, row), values)

    return Tables(copied(tables.x), copied(tables.code), copied(tables.y))


def with_panels(draws: Draws, tables: Tables) -> Tables:
    """Rows are observations of entities: some columns are the entity's, the others and part of the targets are not."""
    n_tables, n_rows = tables.y.shape
    entity = entities(draws, n_tables, n_rows)
    share = draws.uniform(n_tables, 1, 1, low=0.3, high=1.0)
    loyal = draws.bernoulli(draws.uniform(n_tables, 1, low=0.3, high=1.0), n_tables, n_rows)

    def own(values: Tensor) -> Tensor:
        row = entity[:, :, None].expand_as(values)
        fixed = draws.bernoulli(share, n_tables, 1, values.shape[2])
        return torch.where(fixed, values.gather(1, row), values)

    x, code, y = own(tables.x), own(tables.code), torch.where(loyal, tables.y.gather(1, entity), tables.y)
    if not x.shape[2]:
        return Tables(x, code, y)
    # Ages and incomes of the same person are close from one year to the next, and not equal.
    step = draws.log_uniform(n_tables, 1, 1, low=0.01, high=0.2)
    moved = step * draws.bernoulli(0.2, n_tables, 1, x.shape[2])
    x = x + moved * x.std(1, keepdim=True) * draws.normal(*x.shape)
    return Tables(x, code, y)
