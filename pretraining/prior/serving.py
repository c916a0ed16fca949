"""The view a model is served of nominal columns: codes as seen by the context, with level statistics beside them.

Statistics of a context row come from other labelled rows only (folds, or all others), those of a query row from all
labelled rows, smoothed towards the prior by count. So a context row never carries its own label.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .draws import Draws
from .labels import MAX_CLASSES
from .nominal import Layout

N_FOLDS = 5


def serve(
    draws: Draws, x: Tensor, code: Tensor, y: Tensor, n_context: int, layout: Layout
) -> tuple[Tensor, Tensor]:
    """Columns as served, in random order, and targets; the last ``n_extra`` rows are used up.

    Parameters
    ----------
    draws : Draws
    x : Tensor of shape (B, T + n_extra, n_raw - n_nominal)
        Numeric columns; the first ``n_context`` rows are context, the last ``n_extra`` labelled and not served.
    code : Tensor of shape (B, T + n_extra, n_nominal), int64
        Levels; -1 is missing.
    y : Tensor of shape (B, T + n_extra)
        Class codes, or numbers.
    n_context : int
    layout : Layout

    Returns
    -------
    x : Tensor of shape (B, T, features)
        A missing level is NaN, a level that no labelled row has is the number of levels.
    y : Tensor of shape (B, T)
    """
    n_rows = x.shape[1] - layout.n_extra
    order = torch.arange(x.shape[1])
    labelled = (order < n_context) | (order >= n_rows)
    n_levels = int(code.max()) + 2  # the last place is that of missing values
    level = torch.where(code < 0, n_levels - 1, code)
    sums = _LevelSums(level, labelled, n_levels)
    seen = sums.of_all(torch.ones_like(y, dtype=x.dtype)) > 0
    shown = torch.where(seen, level, n_levels).to(x.dtype).masked_fill(code < 0, torch.nan)
    columns = [x, shown]
    if layout.frequency or layout.n_means:
        one_out = draws.coin(0.25)
        fold = torch.arange(x.shape[1]) if one_out else draws.integers(N_FOLDS, x.shape[1])
        ones = torch.ones(y.shape, dtype=x.dtype)
        count = sums.of_others(ones, fold, one_out=one_out)
        if layout.frequency:
            columns.append(torch.log1p(count) if draws.coin(0.5) else count)
        smoothing = draws.log_uniform(len(x), 1, 1, low=1.0, high=20.0)
        for target in _targets(draws, y, labelled, layout.n_means):
            total = sums.of_others(target, fold, one_out=one_out)
            prior = target[:, labelled].mean(1)[:, None, None]
            columns.append((total + smoothing * prior) / (count + smoothing))
    served = torch.cat(columns, 2)[:, :n_rows]
    shuffle = draws.permutations(len(x), served.shape[2])[:, None].expand(-1, n_rows, -1)
    return served.gather(2, shuffle), y[:, :n_rows]


def _targets(draws: Draws, y: Tensor, labelled: Tensor, n_means: int) -> list[Tensor]:
    """What is averaged by level: the number, or the indicators of some classes of each table."""
    if y.is_floating_point():
        return [y] * n_means
    one_hot = functional.one_hot(y, MAX_CLASSES)
    present = one_hot[:, labelled].any(1)
    key = draws.uniform(len(y), MAX_CLASSES) + 2.0 * ~present
    chosen = key.argsort(1)[:, :n_means]
    indicators = one_hot.gather(2, chosen[:, None].expand(-1, y.shape[1], -1)).float()
    return list(indicators.unbind(2))


class _LevelSums:
    """Sums over the labelled rows of a level, for every row and nominal column, (B, T, K)."""

    def __init__(self, level: Tensor, labelled: Tensor, n_levels: int) -> None:
        self.level = level.transpose(1, 2).contiguous()
        self.labelled = labelled
        self.n_levels = n_levels

    def of_all(self, values: Tensor) -> Tensor:
        """Over all labelled rows."""
        return self._look_up(values * self.labelled, self.level, self.n_levels)

    def of_others(self, values: Tensor, fold: Tensor, *, one_out: bool) -> Tensor:
        """Over the labelled rows outside the row's fold (or all but itself); over all for rows without label."""
        total, own = self.of_all(values), values * self.labelled
        if one_out:
            return total - own[:, :, None]
        n_folds = int(fold.max()) + 1
        within = self._look_up(own, self.level * n_folds + fold, self.n_levels * n_folds)
        return total - within * self.labelled[:, None]

    @staticmethod
    def _look_up(values: Tensor, place: Tensor, n_places: int) -> Tensor:
        spread = values[:, None].expand(place.shape)
        sums = torch.zeros(*place.shape[:2], n_places).scatter_add_(2, place, spread)
        return sums.gather(2, place).transpose(1, 2)
